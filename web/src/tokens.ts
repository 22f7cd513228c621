// What can be read in a token without verifying it: enough to show, never enough to trust.

export interface TokenFacts {
  /** Whom it is for; null where it does not say. */
  subject: string | null;
  /** Seconds since the Unix epoch; null where it does not say. */
  expiresAt: number | null;
}

/** Reads a JSON Web Token; null if it is none. */
export function readToken(token: string): TokenFacts | null {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const claims: unknown = JSON.parse(decodeBase64Url(parts[1] ?? ""));
    if (typeof claims !== "object" || claims === null) return null;
    const { sub, exp } = claims as { sub?: unknown; exp?: unknown };
    return {
      subject: typeof sub === "string" ? sub : null,
      expiresAt: typeof exp === "number" ? exp : null,
    };
  } catch {
    return null;
  }
}

/** The same token with a signature that fits nothing: what it says can still be read, and no server takes it. */
export function damaged(token: string): string {
  const at = token.lastIndexOf(".") + 1;
  return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
}

function decodeBase64Url(text: string): string {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
