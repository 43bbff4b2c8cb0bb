/** A small catalog and workflow for tests. */

import { Kinds } from "../lib/catalog";
import type { Catalog, Content, InputKind, NodeKind, SettingKind } from "../lib/types";

function input(name: string, types: string[], rest: Partial<InputKind> = {}): InputKind {
  return { name, types, optional: false, many: false, ...rest };
}

function setting(name: string, rest: Partial<SettingKind> = {}): SettingKind {
  return { name, kind: "whole number", required: false, default: 0, description: "", schema: { type: "integer" }, reads: null, writes: false, ...rest };
}

function kind(name: string, category: string, rest: Partial<NodeKind>): NodeKind {
  const words = name.replaceAll("_", " ");
  const title = words[0]!.toUpperCase() + words.slice(1);
  return { name, title, category, effect: false, summary: "", doc: "", links: [], inputs: [], outputs: [], settings: [], ...rest };
}

export const CATALOG: Catalog = {
  nodes: [
    kind("load_model", "load", { outputs: [{ name: "model", types: ["Model"] }], summary: "Read a checkpoint" }),
    kind("encode_prompt", "prompt", {
      inputs: [input("model", ["Model"])],
      outputs: [{ name: "conditioning", types: ["Conditioning"] }],
      summary: "Words to what the denoiser is told",
    }),
    kind("cfg", "guidance", { outputs: [{ name: "guidance", types: ["Cfg"] }] }),
    kind("denoise", "sample", {
      inputs: [input("model", ["Model"]), input("positive", ["Conditioning"]), input("guidance", ["Guidance"], { optional: true }), input("latent", ["Latent"], { optional: true })],
      outputs: [{ name: "latent", types: ["Latent"] }],
      settings: [setting("seed", { schema: { type: "integer", maximum: 9 } })],
    }),
    kind("decode", "image", {
      inputs: [input("latent", ["Latent"])],
      outputs: [{ name: "image", types: ["Image"] }],
    }),
    kind("image_grid", "image", { inputs: [input("images", ["Image", "Mask"], { many: true })], outputs: [{ name: "image", types: ["Image"] }] }),
    kind("either", "image", { outputs: [{ name: "both", types: ["Image", "Latent"] }] }),
  ],
  types: {
    Model: ["Model"],
    Conditioning: ["Conditioning"],
    Guidance: ["Guidance"],
    Cfg: ["Cfg", "Guidance"],
    Latent: ["Latent"],
    Image: ["Image"],
    Mask: ["Mask"],
  },
  problems: [],
};

export const kinds = new Kinds(CATALOG);

export function example(): Content {
  return {
    format: 1,
    name: "Example",
    nodes: {
      model: { type: "load_model", at: [0, 0] },
      prompt: { type: "encode_prompt", at: [300, 0], settings: { text: "a cat" } },
      sample: { type: "denoise", at: [600, 0], settings: { seed: 3 } },
      picture: { type: "decode", at: [900, 0] },
      "odd.one": { type: "not_here", at: [1200, 0], settings: { kept: [1] }, more: true },
    },
    wires: [
      ["model.model", "prompt.model"],
      ["model.model", "sample.model"],
      ["prompt.conditioning", "sample.positive"],
      ["sample.latent", "picture.latent"],
      ["picture.image", "odd.one.image"],
    ],
    reroutes: [{ at: [450, 80], wires: [["model.model", "sample.model"]] }],
    strange: { kept: true },
  };
}
