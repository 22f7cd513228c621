import { Avatar } from "./Avatar";
import { useChat } from "./context";

export function EmptyRoom({ name }: { name: string }) {
  const { config } = useChat();
  const others = config.accounts.filter((account) => account.name !== name);
  const [other] = others;
  return (
    <div className="empty">
      <div className="faces">
        <Avatar name={name} size="large" />
        {others.map((account) => (
          <Avatar key={account.name} name={account.name} size="large" />
        ))}
      </div>
      <h2>It is quiet in here</h2>
      <p>Say something, {name}. Everybody who is signed in sees it at once.</p>
      {other !== undefined && (
        <p>
          <a href={`?as=${other.name}`} target="_blank" rel="noopener">
            Open a second window as {other.name}
          </a>
        </p>
      )}
    </div>
  );
}
