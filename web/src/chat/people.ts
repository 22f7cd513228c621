// How people look who have no picture: the beginning of their name on a colour of their own.

/** A hue from 0 to 359, the same for the same name everywhere. */
export function hue(name: string): number {
  let hash = 0x811c9dc5;
  for (const character of name.toLowerCase()) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  // Twelve hues far enough apart to be told from each other.
  return ((hash ^ (hash >>> 15)) % 12) * 30 + 8;
}

export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const [first = "?", second] = words;
  return (second === undefined ? first.slice(0, 1) : first.slice(0, 1) + second.slice(0, 1)).toUpperCase();
}
