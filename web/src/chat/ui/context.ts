import { createContext, use, useSyncExternalStore } from "react";
import type { Observable } from "../../observable";
import type { Chat } from "../chat";

export const ChatContext = createContext<Chat | null>(null);

export function useChat(): Chat {
  const chat = use(ChatContext);
  if (chat === null) throw new Error("outside of ChatContext");
  return chat;
}

export function useObservable<Value>({ watch, get }: Observable<Value>): Value {
  return useSyncExternalStore(watch, get);
}
