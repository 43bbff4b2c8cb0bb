/** What several nodes have in common. */

import { same } from "../widgets/choose";
import type { Json, NodeEntry, NodeKind, SettingKind } from "../lib/types";

export interface Common {
  setting: SettingKind;
  /** The nodes do not agree on its value. */
  differs: boolean;
}

/** The settings every kind has, under the same name and of the same schema. */
export function commonSettings(members: readonly { entry: NodeEntry; kind: NodeKind | undefined }[]): Common[] {
  const [first, ...others] = members;
  if (!first?.kind) return [];
  return first.kind.settings
    .filter(({ name, schema }) =>
      others.every(({ kind }) =>
        kind?.settings.some((other) => other.name === name && same(bare(other.schema), bare(schema))),
      ),
    )
    .map((setting) => {
      const values = members.map(({ entry, kind }) =>
        valueOf(
          entry,
          kind!.settings.find(({ name }) => name === setting.name)!,
        ),
      );
      return { setting, differs: values.some((value) => !same(value, values[0])) };
    });
}

function valueOf(entry: NodeEntry, setting: SettingKind): Json | undefined {
  const given = entry.settings?.[setting.name];
  return given === undefined && !setting.required ? setting.default : given;
}

/** What a value may be, without what it is by default and what is said of it. */
function bare(schema: SettingKind["schema"]): Json {
  const { default: _, description: __, ...rest } = schema;
  return rest as Json;
}
