/** What a list of choices shows for the words typed above it. */

export interface Option {
  value: string;
  /** What is typed to find it and read in the list. */
  label: string;
}

/** Options whose label holds every word; those that begin with what was typed come first. */
export function matching(options: readonly Option[], typed: string): Option[] {
  const words = typed
    .toLowerCase()
    .split(/[\s_]+/)
    .filter(Boolean);
  const found = options.filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)));
  const begins = ({ label }: Option) => label.toLowerCase().startsWith(typed.trim().toLowerCase());
  return words.length === 0 ? [...found] : [...found.filter(begins), ...found.filter((option) => !begins(option))];
}

/** Where a list of `height` pixels goes: below its button, or above it where there is more room. */
export function placed(
  button: { top: number; bottom: number; left: number; width: number },
  page: { width: number; height: number },
  wanted: number,
) {
  const margin = 6;
  const below = page.height - button.bottom - margin;
  const above = button.top - margin;
  const down = below >= Math.min(wanted, 220) || below >= above;
  const width = Math.max(button.width, 190);
  const left = Math.max(margin, Math.min(button.left, page.width - width - margin));
  const height = Math.max(80, Math.min(wanted, down ? below : above));
  return {
    left,
    width,
    height,
    top: down ? button.bottom + 3 : null,
    bottom: down ? null : page.height - button.top + 3,
  };
}
