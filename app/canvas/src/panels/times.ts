/** Points in time in words. */

const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;

/** Seconds since 1970 as "just now", "5 min ago", "10:42", "Tue 10:42", "3 Mar 2026". */
export function when(seconds: number, now = Date.now() / 1000): string {
  const ago = now - seconds;
  if (ago < MINUTE) return "just now";
  if (ago < HOUR) return `${Math.floor(ago / MINUTE)} min ago`;
  const date = new Date(seconds * 1000);
  const clock = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (ago < DAY && date.getDate() === new Date(now * 1000).getDate()) return clock;
  if (ago < 6 * DAY) return `${date.toLocaleDateString([], { weekday: "short" })} ${clock}`;
  return date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}

export function exactly(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString();
}
