import { expect, test } from "vitest";
import { type Caption, withCaption, withUnsent } from "../src/core/captions.ts";

function said(id: string, text: string, final = false): Caption {
  return { id, speaker: "customer", text, final };
}

function shown(...captions: Caption[]): readonly Caption[] {
  return captions.reduce<readonly Caption[]>(withCaption, []);
}

test("a line grows in its place while others come", () => {
  const captions = shown(said("a", "I'd"), said("b", "Yes"), said("a", "I'd like", true));
  expect(captions).toEqual([said("a", "I'd like", true), said("b", "Yes")]);
});

test("a late piece does not take a final line back", () => {
  expect(shown(said("a", "Nine.", true), said("a", "Ni"))).toEqual([said("a", "Nine.", true)]);
});

test("a final line may be corrected by another final one", () => {
  expect(shown(said("a", "Nine.", true), said("a", "Ten.", true))).toEqual([
    said("a", "Ten.", true),
  ]);
});

test("a line of nothing is not shown, and one that turned out to be nothing goes", () => {
  expect(shown(said("a", " "))).toEqual([]);
  expect(shown(said("a", "Hm"), said("a", "", true))).toEqual([]);
});

test("a message that was not taken is marked, and only that one", () => {
  const captions = withUnsent(shown(said("a", "Hi", true), said("b", "Ho", true)), "b", "too_many");
  expect(captions.map(({ unsent }) => unsent)).toEqual([undefined, "too_many"]);
});
