/** What the build makes of files that are no modules. */

declare module "*.css?inline" {
  const css: string;
  // biome-ignore lint/style/noDefaultExport: the build's form
  export default css;
}

/** Where the panel's module lies, beside the loader. */
declare const PANEL: string;
