/** The kinds of nodes: found by name, searched by words, and which output fits which input. */

import uFuzzy from "@leeoniya/ufuzzy";
import type { Catalog, InputKind, NodeKind, OutputKind, Problem } from "./types";

export interface Category {
  name: string;
  kinds: NodeKind[];
}

/** What a search may be narrowed to: kinds with a port that fits this one. */
export type Fitting = { output: OutputKind } | { input: InputKind };

/** Within a search two letters may be off by one typing slip. */
const FUZZY = new uFuzzy({ intraMode: 1, intraIns: 1, interIns: 3 });

export class Kinds {
  readonly all: readonly NodeKind[];
  readonly problems: readonly Problem[];
  readonly #byName: ReadonlyMap<string, NodeKind>;
  readonly #ancestors: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #haystacks: readonly [names: string[], texts: string[]];

  constructor(catalog: Catalog) {
    this.all = catalog.nodes;
    this.problems = catalog.problems;
    this.#byName = new Map(catalog.nodes.map((kind) => [kind.name, kind]));
    this.#ancestors = new Map(Object.entries(catalog.types).map(([name, types]) => [name, new Set(types)]));
    this.#haystacks = [
      catalog.nodes.map((kind) => `${kind.title} ${kind.name}`),
      catalog.nodes.map((kind) => `${kind.title} ${kind.name} ${kind.category} ${kind.summary}`),
    ];
  }

  get(name: string): NodeKind | undefined {
    return this.#byName.get(name);
  }

  get categories(): Category[] {
    const found = new Map<string, NodeKind[]>();
    for (const kind of this.all) found.set(kind.category, [...(found.get(kind.category) ?? []), kind]);
    const byTitle = (a: NodeKind, b: NodeKind) => a.title.localeCompare(b.title);
    return [...found].map(([name, kinds]) => ({ name, kinds: kinds.toSorted(byTitle) })).toSorted((a, b) => a.name.localeCompare(b.name));
  }

  /** Whether `type` is one of `accepted`, or a kind of one. */
  isKindOf(type: string, accepted: readonly string[]): boolean {
    const ancestors = this.#ancestors.get(type);
    return accepted.some((each) => each === type || ancestors?.has(each));
  }

  /** Each type the output may give is one the input takes; an optional input also takes nothing. */
  fits(output: OutputKind, input: InputKind): boolean {
    return output.types.every((type) => this.isKindOf(type, input.types) || (input.optional && type === "NoneType"));
  }

  hasFitting(kind: NodeKind, port: Fitting): boolean {
    return "output" in port
      ? kind.inputs.some((input) => this.fits(port.output, input))
      : kind.outputs.some((output) => this.fits(output, port.input));
  }

  /** Kinds that answer to the words, best first: by title and name, then by category and summary. All without words. */
  search(words: string, fitting: Fitting | null = null): NodeKind[] {
    const found = words.trim() ? this.#ranked(words.trim()) : this.all.toSorted((a, b) => a.title.localeCompare(b.title));
    return fitting ? found.filter((kind) => this.hasFitting(kind, fitting)) : [...found];
  }

  #ranked(words: string): NodeKind[] {
    const indices = new Set<number>();
    for (const haystack of this.#haystacks) {
      const [matches, info, order] = FUZZY.search(haystack, words, 5);
      if (info && order) for (const at of order) indices.add(info.idx[at]!);
      else for (const index of matches ?? []) indices.add(index);
    }
    return [...indices].map((index) => this.all[index]!);
  }
}
