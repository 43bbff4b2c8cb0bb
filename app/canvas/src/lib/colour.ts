/** Colours of types and categories, as variables of theme.css, so that they follow light and dark by themselves. */

const HUES = 16;

/** Types met in nearly every workflow have hues of their own, so that no two of them are alike; others are hashed.
 *  There are more types than hues: two that share one are not met in one workflow as a rule. */
const TYPES: Record<string, number> = {
  Model: 12,
  Conditioning: 2,
  Latent: 14,
  Noise: 10,
  Image: 9,
  Mask: 6,
  Schedule: 4,
  Sampler: 7,
  Guidance: 0,
  Prompts: 3,
  Table: 5,
  Figure: 8,
  Folder: 1,
  Video: 11,
  Lora: 13,
  Cache: 15,
  Methods: 13,
  Results: 11,
  Report: 15,
  Reward: 1,
};

/** A category has the hue of what its nodes mostly give. */
const CATEGORIES: Record<string, number> = {
  load: 12,
  prompt: 2,
  noise: 10,
  schedule: 4,
  sample: 14,
  guidance: 0,
  image: 9,
  evaluate: 5,
  train: 1,
  lora: 13,
  cache: 15,
  attention: 11,
  reward: 7,
};

/** FNV-1a: the same hue in every session and on every machine. */
function hashed(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % HUES;
}

function colour(name: string, known: Record<string, number>): string {
  return `var(--type-${Object.hasOwn(known, name) ? known[name] : hashed(name)})`;
}

/** The colour of ports and wires of the type `name`, as a CSS value. */
export const typeColour = (name: string): string => colour(name, TYPES);

/** The colour of a category of nodes, as a CSS value. */
export const categoryColour = (name: string): string => colour(name, CATEGORIES);

/** The colour of the series `index` of a figure: those drawn together lie far apart. */
export const seriesColour = (index: number): string => `var(--type-${(10 + index * 5) % HUES})`;
