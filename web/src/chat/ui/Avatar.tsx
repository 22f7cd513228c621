import type { CSSProperties } from "react";
import { hue, initials } from "../people";

export function Avatar({ name, size }: { name: string; size?: "large" | "small" }) {
  return (
    <span className="avatar" data-size={size} style={{ "--hue": hue(name) } as CSSProperties} aria-hidden="true">
      {initials(name)}
    </span>
  );
}
