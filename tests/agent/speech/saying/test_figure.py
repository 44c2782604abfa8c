"""Figures in text, and how each tongue says them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech.saying.english import AMERICAN, BRITISH, INDIAN
from agent.speech.saying.figure import said
from agent.speech.saying.hindi import DEVANAGARI, LATIN
from agent.speech.saying.tongue import Tongue


def words(text: str, tongue: Tongue) -> str:
    pieces = list(said(text, tongue))
    assert "".join(piece.written for piece in pieces) == text
    return "".join(piece.written if piece.spoken is None else piece.spoken for piece in pieces)


@pytest.mark.parametrize(
    ("text", "indian", "american"),
    [
        ("₹12,500", "twelve thousand five hundred rupees", None),
        ("Rs. 1,50,000/-", "one lakh fifty thousand rupees", None),
        ("Rs500", "five hundred rupees", None),
        ("INR 2.5 lakh", "two point five lakh rupees", None),
        ("₹3 crore", "three crore rupees", None),
        ("500 INR", "five hundred rupees", None),
        ("₹1", "one rupee", None),
        ("₹1,250.50", "one thousand two hundred and fifty rupees and fifty paise", None),
        ("$99.99", "ninety nine dollars and ninety nine cents", None),
        ("$0.50", "fifty cents", None),
        ("$3.5 million", "three point five million dollars", None),
        ("£3.01", "three pounds and one penny", None),
        ("€20", "twenty euros", None),
        ("20€", "twenty euros", None),
        (
            "$150,250",
            "one lakh fifty thousand two hundred and fifty dollars",
            "one hundred fifty thousand two hundred fifty dollars",
        ),
        ("500 Rs.", "five hundred rupees.", None),
        ("500rs", "five hundred rupees", None),
        ("5 Rs 500", "five five hundred rupees", None),
        ("₹5L", "five lakh rupees", None),
        ("₹500-600", "five hundred to six hundred rupees", None),
        ("₹1-2 lakh", "one to two lakh rupees", None),
        ("Rs. 10 - 15 thousand", "ten to fifteen thousand rupees", None),
        ("₹1 to 2 lakh", "one to two lakh rupees", None),
        ("₹1.5-2.5 lakh", "one point five lakh to two point five lakh rupees", None),
        ("₹50,000 - 1 lakh", "fifty thousand to one lakh rupees", None),
        ("₹1,000 - 2,000", "one thousand to two thousand rupees", None),
        ("INR 50,000-75,000/-", "fifty thousand to seventy five thousand rupees", None),
        ("$1-2 million", "one to two million dollars", "one to two million dollars"),
        ("500-600 Rs", "five hundred to six hundred rupees", None),
        ("₹1,2-3", "one rupee,two to three", None),
        ("₹500 - 2 of them", "five hundred rupees - two of them", None),
        ("₹500 to 2 people", "five hundred rupees to two people", None),
        ("Pay 500/- only", "Pay five hundred rupees only", None),
        ("₹99/month", "ninety nine rupees per month", None),
        ("25K", "twenty five thousand", None),
        ("10k-15k", "ten thousand to fifteen thousand", None),
        ("₹500 - ₹600", "five hundred rupees to six hundred rupees", None),
        ("Plan 2 - ₹500", "Plan two - five hundred rupees", None),
        ("is -₹500 (", "is minus five hundred rupees (", None),
        ("2050 rupees", "two thousand fifty rupees", None),
        ("$0.125", "zero point one two five dollars", None),
    ],
)
def test_money_in_english(text: str, indian: str, american: str | None) -> None:
    assert words(text, INDIAN) == indian
    if american is not None:
        assert words(text, AMERICAN) == american


@pytest.mark.parametrize(
    ("text", "indian", "american"),
    [
        ("2026-05-01", "first May, twenty twenty six", "May first, twenty twenty six"),
        ("05/08/2026", "fifth August, twenty twenty six", "May eighth, twenty twenty six"),
        ("25/12/26", "twenty fifth December, twenty twenty six", None),
        ("12/25/2026", "twenty fifth December, twenty twenty six", None),
        ("5 May", "fifth May", "May fifth"),
        ("the 3rd of March", "the third March", "the March third"),
        ("May 5th, 2027", "fifth May, twenty twenty seven", "May fifth, twenty twenty seven"),
        ("Sept 9", "ninth September", "September ninth"),
        ("05-Aug-2026", "fifth August, twenty twenty six", "August fifth, twenty twenty six"),
        ("05-Aug-26", "fifth August, twenty twenty six", None),
        ("we may 5-may", "we may five-may", None),
        ("5 Aug - 10 Aug", "fifth August to tenth August", "August fifth to August tenth"),
        ("5 May - ₹500", "fifth May - five hundred rupees", None),
        ("10.5-12 km", "ten point five to twelve km", None),
        ("FY 2025-26", "FY twenty twenty five to twenty six", None),
        ("FY2025-26", "FY twenty twenty five to twenty six", None),
        ("Q1 FY26", "Q one FY twenty six", None),
        ("on 1.2.26", "on first February, twenty twenty six", None),
        ("version 1.2.26", "version one point two point twenty six", None),
        ("v5.6.7 (5.6.07)", "v five point six point seven (fifth June, two thousand seven)", None),
        ("You may 5 times", "You may five times", None),
        ("We may come in march.", "We may come in march.", None),
        ("2026-05-45", "two zero two six, zero five, four five", None),
    ],
)  # fmt: skip
def test_dates_in_english(text: str, indian: str, american: str | None) -> None:
    assert words(text, INDIAN) == indian
    if american is not None:
        assert words(text, AMERICAN) == american


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("10:30 am", "ten thirty AM"),
        ("17:05", "five oh five PM"),
        ("00:05", "twelve oh five AM"),
        ("5 p.m. today", "five PM today"),
        ("at 5pm.", "at five PM."),
        ("9:30", "nine thirty"),
        ("12:00", "twelve o'clock"),
        ("10.30 am", "ten thirty AM"),
        ("10:30 baje", "ten thirty baje"),
        ("9 - 10:30", "nine - ten thirty"),
        ("10:30-11:30", "ten thirty to eleven thirty"),
        ("9am-5pm", "nine AM to five PM"),
        ("5-6 pm", "five to six PM"),
        ("10 to 12 pm", "ten to twelve PM"),
        ("17:30 hrs", "five thirty PM"),
        ("2:30 hrs", "two thirty hrs"),
        ("24x7", "twenty four seven"),
        ("24 X 7 support", "twenty four seven support"),
        ("24 x 70", "twenty four x seventy"),
    ],
)
def test_times_in_english(text: str, spoken: str) -> None:
    assert words(text, INDIAN) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("+91 98765 43210", "plus nine one, nine eight seven six five, four three two one zero"),
        ("+919876543210", "plus nine one, nine eight seven, six five four, three two one zero"),
        ("9876543210", "nine eight seven, six five four, three two one zero"),
        ("(415) 555-0192", "four one five, five five five, zero one nine two"),
        ("1800 123 456", "one eight zero zero, one two three, four five six"),
        ("1234 5678 9012 3456", "one two three four, five six seven eight, nine zero one two,"
         " three four five six"),
        ("OTP is 482913", "OTP is four eight two, nine one three"),
        ("PIN: 4411", "PIN: four four one one"),
        ("order #20391", "order #two zero, three nine one"),
        ("OTP 482-913", "OTP four eight two, nine one three"),
        ("PIN 560 001", "PIN five six zero, zero zero one"),
        ("Pincode: 400-072", "Pincode: four zero zero, zero seven two"),
        ("1800 22 1234", "one eight zero zero, two two, one two three four"),
        ("PIN code 560001", "PIN code five six zero, zero zero one"),
        ("12, MG Road, Bengaluru 560 001.",
         "twelve, MG Road, Bengaluru five six zero, zero zero one."),
        ("560 200 rupees", "five hundred and sixty two hundred rupees"),
        ("order 403-1234567-1234567", "order four zero three, one two three four, five six seven,"
         " one two three four, five six seven"),
        ("last 4 digits are 4321", "last four digits are four three two one"),
        ("(022) 2345 6789", "zero two two, two three four five, six seven eight nine"),
        ("flight 6E 213", "flight six E two one three"),
        ("flight AI-202", "flight AI-two zero two"),
        ("12-34-56", "one two, three four, five six"),
        ("AB-1234", "AB-one two three four"),
        ("card xx1234", "card xx one two three four"),
        ("080 1234 5678", "zero eight zero, one two three four, five six seven eight"),
        ("022-12345678", "zero two two, one two three four, five six seven eight"),
        ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("022-2345 6789", "zero two two, two three four five, six seven eight nine"),
        ("+44 7911 123456", "plus four four, seven nine one, one one two, three four five six"),
        ("007", "zero zero seven"),
        ("flight AI202", "flight A I two zero two"),
        ("MH12AB1234", "M H one two A B one two three four"),
    ],
)  # fmt: skip
def test_numbers_that_count_nothing_are_read_digit_by_digit(text: str, spoken: str) -> None:
    assert words(text, INDIAN) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("12.5%", "twelve point five percent"),
        ("5-10% off", "five to ten percent off"),
        ("3-5 days", "three to five days"),
        ("3-5, 1-2,000", "three to five, one to two thousand"),
        ("the 1st-5th", "the first to fifth"),
        ("+ 18.5% GST", "+ eighteen point five percent GST"),
        ("the 21st floor", "the twenty first floor"),
        ("1,200 people", "one thousand two hundred people"),
        ("2,50,000 units", "two lakh fifty thousand units"),
        ("3.75 crore", "three point seven five crore"),
        ("room 204", "room two hundred and four"),
        ("since 2019", "since twenty nineteen"),
        ("24/7", "twenty four seven"),
        ("5km", "five km"),
        ("5 - 3 = 2", "five minus three = two"),
        ("5-3=2", "five minus three=two"),
        ("5 \u2212 3", "five minus three"),
        ("₹5 - ₹1 - 10% = ₹3", "five rupees minus one rupee minus ten percent = three rupees"),
        ("₹500 - 2 lakh = ₹3", "five hundred rupees minus two lakh = three rupees"),
        ("2025-26 = ₹5", "twenty twenty five to twenty six = five rupees"),
        ("1 - 2 = poor", "one to two = poor"),
        ("2.5-3 hours", "two point five to three hours"),
        ("2-2.5 hours", "two to two point five hours"),
        ("@10.5% p.a.", "@ten point five percent p.a."),
        ("flat 12B, Section 80C", "flat twelve B, Section eighty C"),
        ("-5 degrees", "minus five degrees"),
        ("2+2", "two plus two"),
        ("version 2.0.1.", "version two point zero point one."),
        ("10.1.12.5", "ten point one point twelve point five"),
        ("mid-2026", "mid-twenty twenty six"),
        ('<break time="500ms"/>5', '<break time="500ms"/>five'),
        ("a <5 and <b x=1", "a <five and <b x=1"),
        ("+5 degrees", "plus five degrees"),
        ("a12@x.com has 5", "a12@x.com has five"),
        ("see www.x.com/12 or 5", "see www.x.com/12 or five"),
        ("9,99,99,99,99,99,999", "nine nine nine nine nine nine nine nine nine nine nine nine"
         " nine nine"),
        ("No figures here.", "No figures here."),
    ],
)  # fmt: skip
def test_other_figures_in_english(text: str, spoken: str) -> None:
    assert words(text, INDIAN) == spoken


def test_number_without_end_is_read_digit_by_digit() -> None:
    spoken = words(f"₹{'1' * 5000}, {'2,' * 3000}2 and {'7' * 9000} pounds", INDIAN)
    assert spoken.startswith("₹one one one one, one")
    assert spoken.endswith("seven seven pounds")
    assert not any(sign.isdigit() for sign in spoken)
    assert words("5555 5555 5555 4444", INDIAN) == words("5555555555554444", INDIAN)


def test_britain_has_its_own_order_and_the_worlds_scale() -> None:
    assert words("5/8/2026: 150,250", BRITISH) == (
        "fifth August, twenty twenty six: one hundred and fifty thousand two hundred and fifty"
    )


@pytest.mark.parametrize(
    ("text", "devanagari", "latin"),
    [
        ("₹12,500", "बारह हज़ार पाँच सौ रुपये", "barah hazaar paanch sau rupaye"),
        ("₹1,250.50", "एक हज़ार दो सौ पचास रुपये पचास पैसे", "ek hazaar do sau pachaas rupaye"),
        ("₹1.5 lakh", "डेढ़ लाख रुपये", "dedh laakh rupaye"),
        ("2.5 lakh", "ढाई लाख", "dhaai laakh"),
        ("3.5 crore", "साढ़े तीन करोड़", "saadhe teen karod"),
        ("3.75 crore", "तीन दशमलव सात पाँच करोड़", "teen point saat paanch karod"),
        ("2.0 crore", "दो करोड़", "do karod"),
        ("₹1", "एक रुपया", "ek rupaya"),
        ("$0.01", "एक सेंट", "ek cent"),
        ("25%", "पच्चीस प्रतिशत", "pachchees pratishat"),
        ("₹1-2 लाख", "एक से दो लाख रुपये", "ek se do laakh rupaye"),
        ("₹1.5 से 2.5 लाख", "डेढ़ लाख से ढाई लाख रुपये", "dedh laakh se dhaai laakh rupaye"),
        ("₹500 से ज़्यादा", "पाँच सौ रुपये से ज़्यादा", "paanch sau rupaye से ज़्यादा"),
        ("5 - 3 = 2", "पाँच माइनस तीन = दो", "paanch minus teen = do"),
        ("₹99/month", "निन्यानवे रुपये प्रति month", "ninyaanve rupaye prati month"),
        ("560 001", "पाँच छह शून्य, शून्य शून्य एक", "paanch chhah shunya, shunya shunya ek"),
        ("5 May 2026", "पाँच मई दो हज़ार छब्बीस", "paanch May do hazaar chhabbees"),
        ("15/8/1947", "पंद्रह अगस्त उन्नीस सौ सैंतालीस", "pandrah August unnees sau saintaalees"),
        ("1:30 pm", "दोपहर डेढ़ बजे", "dopahar dedh baje"),
        ("2:30", "ढाई बजे", "dhaai baje"),
        ("10:30 am", "सुबह साढ़े दस बजे", "subah saadhe das baje"),
        ("10:15", "सवा दस बजे", "sava das baje"),
        ("12:45", "पौने एक बजे", "paune ek baje"),
        ("18:20", "शाम छह बजकर बीस मिनट", "shaam chhah bajkar bees minute"),
        ("9 pm", "रात नौ बजे", "raat nau baje"),
        ("00:00", "रात बारह बजे", "raat barah baje"),
        ("3-5", "तीन से पाँच", "teen se paanch"),
        ("5th", "पाँचवाँ", "paanchvaan"),
        ("10th", "दसवाँ", "dasvaan"),
        ("+91 98765 43210", "प्लस नौ एक, नौ आठ सात छह पाँच, चार तीन दो एक शून्य", "plus nau ek"),
        ("1,23,45,67,890", "एक अरब तेईस करोड़ पैंतालीस लाख सड़सठ हज़ार आठ सौ नब्बे", "ek arab"),
        ("9,99,99,99,99,99,999", "नौ नौ", "nau nau"),
    ],
)
def test_figures_in_hindi(text: str, devanagari: str, latin: str) -> None:
    assert words(text, DEVANAGARI).startswith(devanagari)
    assert words(text, LATIN).startswith(latin)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("5 मई 2026 तक", "पाँच मई दो हज़ार छब्बीस तक"),
        ("सुबह 10:30 बजे", "सुबह साढ़े दस बजे"),
        ("10 बजे", "दस बजे"),
        ("१२३ रुपये", "एक सौ तेईस रुपये"),
        ("₹1.5 करोड़", "डेढ़ करोड़ रुपये"),
        ("5वाँ", "पाँचवाँ"),
        ("10वीं", "दसवाँ"),
        ("ओटीपी 4829", "ओटीपी चार आठ दो नौ"),
        ("अंतिम अंक 4321", "अंतिम अंक चार तीन दो एक"),
        ("वर्ज़न 1.2.26", "वर्ज़न एक दशमलव दो दशमलव छब्बीस"),
        ("0.5 लाख", "शून्य दशमलव पाँच लाख"),
    ],
)
def test_words_around_a_figure_are_hindis_own(text: str, spoken: str) -> None:
    assert words(text, DEVANAGARI) == spoken


@given(st.text(alphabet="0123456789 ,.:/-+₹$%()APMapmlkh@\n", max_size=40))
def test_whatever_is_written_is_kept_and_no_digit_is_said(text: str) -> None:
    pieces = list(said(text, INDIAN))
    assert "".join(piece.written for piece in pieces) == text
    if "@" not in text:
        spoken = "".join(p.written if p.spoken is None else p.spoken for p in pieces)
        assert not any(sign.isdigit() for sign in spoken)


@given(st.text(max_size=40))
def test_nothing_raises(text: str) -> None:
    for tongue in (INDIAN, AMERICAN, DEVANAGARI, LATIN):
        assert "".join(piece.written for piece in said(text, tongue)) == text
