/** The colours groups and notes may have: kept in the file by name, drawn as theme.css has them in light and dark. */

const NAMED: Record<string, string> = {
  red: "var(--type-0)",
  amber: "var(--type-2)",
  green: "var(--type-6)",
  blue: "var(--type-10)",
  violet: "var(--type-12)",
};

export const TINTS = Object.keys(NAMED);

/** What CSS takes for a colour of the file; undefined where it is none. */
export function tint(color: string | undefined): string | undefined {
  if (color === undefined) return undefined;
  return NAMED[color] ?? (/^#[0-9a-f]{3,8}$/i.test(color) ? color : undefined);
}
