import type { ReactNode } from "react";

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {children}
    </svg>
  );
}

export const SendIcon = () => <Icon><path d="M12 19V5" /><path d="m5.5 11.5 6.5-6.5 6.5 6.5" /></Icon>;
export const DownIcon = () => <Icon><path d="M12 5v14" /><path d="m18.5 12.5-6.5 6.5-6.5-6.5" /></Icon>;
export const CloseIcon = () => <Icon><path d="m6 6 12 12" /><path d="m18 6-12 12" /></Icon>;
export const ClockIcon = () => <Icon><circle cx="12" cy="12" r="8.5" /><path d="M12 7.5V12l3 2" /></Icon>;
export const FramesIcon = () => <Icon><path d="M7 4v14" /><path d="m3.5 14.5 3.5 3.5 3.5-3.5" /><path d="M17 20V6" /><path d="m13.5 9.5 3.5-3.5 3.5 3.5" /></Icon>;
export const ArrowIcon = () => <Icon><path d="M5 12h14" /><path d="m13 6 6 6-6 6" /></Icon>;
export const DoorIcon = () => <Icon><path d="M14 4h4a1.5 1.5 0 0 1 1.5 1.5v13A1.5 1.5 0 0 1 18 20h-4" /><path d="M4 12h11" /><path d="m11 8 4 4-4 4" /></Icon>;
export const Mark = () => (
  <svg className="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
    <rect width="32" height="32" rx="9" fill="currentColor" />
    <path d="M8.5 10.5A2.5 2.5 0 0 1 11 8h10a2.5 2.5 0 0 1 2.5 2.5v6A2.5 2.5 0 0 1 21 19h-5.2L11.6 23v-4H11a2.5 2.5 0 0 1-2.5-2.5Z" fill="none" stroke="var(--on-mark)" strokeWidth="2" strokeLinejoin="round" />
    <path d="M13 13.5h0M16 13.5h0M19 13.5h0" stroke="var(--on-mark)" strokeWidth="2.4" strokeLinecap="round" />
  </svg>
);
