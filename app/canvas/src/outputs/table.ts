/** Tables as they are sorted, shown and copied. */

import type { Json } from "../lib/types";

export interface Order {
  column: number;
  descending: boolean;
}

/** Numbers before texts, nothing last in either direction; rows that are equal keep their places. */
export function sorted(rows: readonly Json[][], order: Order | null): Json[][] {
  if (!order) return [...rows];
  const sign = order.descending ? -1 : 1;
  return rows
    .map((row, index) => ({ row, index }))
    .sort((a, b) => {
      const [first, second] = [a.row[order.column] ?? null, b.row[order.column] ?? null];
      if (first === null || second === null)
        return Number(first === null) - Number(second === null) || a.index - b.index;
      return sign * compared(first, second) || a.index - b.index;
    })
    .map(({ row }) => row);
}

function compared(a: Json, b: Json): number {
  const [first, second] = [number(a), number(b)];
  if (first !== null && second !== null) return first - second;
  if (first !== null || second !== null) return first !== null ? -1 : 1;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function number(value: Json): number | null {
  return typeof value === "number" || typeof value === "boolean" ? Number(value) : null;
}

export function isNumeric(rows: readonly Json[][], column: number): boolean {
  return (
    rows.some((row) => typeof row[column] === "number") &&
    rows.every((row) => row[column] == null || typeof row[column] === "number")
  );
}

export function cell(value: Json | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function exact(value: Json | undefined): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** As RFC 4180 has it. */
export function csv(columns: readonly string[], rows: readonly Json[][]): string {
  const quote = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return (
    [columns, ...rows.map((row) => columns.map((_, i) => exact(row[i])))]
      .map((row) => row.map(quote).join(","))
      .join("\r\n") + "\r\n"
  );
}

export function markdown(columns: readonly string[], rows: readonly Json[][]): string {
  const escape = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replace(/\r?\n/g, " ");
  const line = (cells: readonly string[]) => `| ${cells.map(escape).join(" | ")} |`;
  const rule = `| ${columns.map((_, i) => (isNumeric(rows, i) ? "---:" : "---")).join(" | ")} |`;
  return [line(columns), rule, ...rows.map((row) => line(columns.map((_, i) => cell(row[i]))))].join("\n") + "\n";
}
