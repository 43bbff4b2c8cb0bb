/** What another tab's save means for the file open here. */

export interface OpenFile {
  path: string | null;
  etag: string | null;
}

/** `etag` is null when the file was deleted. */
export interface FileNews {
  path: string;
  etag: string | null;
}

export type DiskState = { kind: "changed"; etag: string } | { kind: "deleted" };

/** Null where the news is of another file, or of the very state that is open. */
export function diskState(news: FileNews, open: OpenFile): DiskState | null {
  if (news.path !== open.path || news.etag === open.etag) return null;
  return news.etag === null ? { kind: "deleted" } : { kind: "changed", etag: news.etag };
}

/** A file's path for a name that was typed: below a root, with its ending, without what file systems refuse. */
export function pathFor(name: string, root = "workflows"): string {
  const parts = name
    .trim()
    .replace(/\.json$/i, "")
    .split("/")
    .map((part) =>
      part
        .trim()
        .replace(/[\\:*?"<>|\u0000-\u001f]+/g, "-")
        .replace(/^\.+/, ""),
    )
    .filter(Boolean);
  const rooted = ["workflows", "opened"].includes(parts[0]) && parts.length > 1 ? parts : [root, ...parts];
  return `${rooted.join("/")}.json`;
}

/** The name a person reads: without root and ending. */
export function shownName(path: string): string {
  return path.replace(/^[^/]+\//, "").replace(/\.json$/, "");
}

/** A name beside `name` that is not taken: "portrait", "portrait 2", ... */
export function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(pathFor(name))) return name;
  const stem = name.replace(/ \d+$/, "");
  for (let count = 2; ; count++) if (!taken.has(pathFor(`${stem} ${count}`))) return `${stem} ${count}`;
}
