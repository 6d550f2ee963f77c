// Asks for a player's id, which stands in the player's profile, and does something with it.
import { useId, useState } from "preact/hooks";
import type { Attempt } from "../ui/attempt.js";

interface IdFormProps extends Pick<Attempt, "busy" | "attempt"> {
  label: string;
  action: string;
  primary?: boolean;
  fieldTestId: string;
  buttonTestId: string;
  onId: (id: string) => Promise<void>;
}

export function IdForm(props: IdFormProps) {
  const { label, action, primary, fieldTestId, buttonTestId, busy, attempt, onId } = props;
  const [id, setId] = useState("");
  const field = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      await onId(id.trim());
      setId("");
    });
  };
  return (
    <form class="line-form" onSubmit={submit}>
      <div class="field">
        <label for={field}>{label}</label>
        <input
          id={field}
          value={id}
          required
          pattern="\s*[0-9a-f]{16}\s*"
          title="16 digits or letters from a to f, as they stand in the player's profile"
          placeholder="Stands in their profile"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          data-testid={fieldTestId}
          onInput={(event) => setId(event.currentTarget.value)}
        />
      </div>
      <button
        class={primary ? "button primary" : "button"}
        type="submit"
        disabled={busy}
        data-testid={buttonTestId}
      >
        {action}
      </button>
    </form>
  );
}
