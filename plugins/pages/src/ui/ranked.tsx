// Another way to play a game: ranked, with players who like to play in the same way.
import type { Domain as DomainInfo, DomainProperty } from "@scenehost/client";
import { useId } from "preact/hooks";
import type { App } from "../app.js";
import { titles, type Domain } from "../domains.js";
import type { Likes } from "../likes.js";
import { Problem } from "./attempt.js";
import { PlayButton } from "./play-button.js";
import { useStore } from "./use-store.js";
import { capital, propertyTitle, spanText } from "./waiting-words.js";

interface RankedProps {
  app: App;
  domain: Domain;
  name: string;
  disabled: boolean;
}

/** Nothing, where the host does not have the domain. */
export function Ranked(props: RankedProps) {
  const likes = props.app.around?.likes;
  return likes ? <Known {...props} likes={likes} /> : null;
}

function Known({ app, domain, name, disabled, likes }: RankedProps & { likes: Likes }) {
  const info = useStore(likes.domains).find(({ name }) => name === domain);
  const problem = useStore(likes.problem);
  if (!info) return null;
  const closed = info.opens !== undefined && info.opens.getTime() > Date.now();
  return (
    <details class="ranked" data-testid={`more-${domain}`}>
      <summary>How do you like to play?</summary>
      <div class="ranked-body">
        <p>{rulesText(info)}</p>
        {info.properties.length > 0 && (
          <div class="ranked-likes">
            {info.properties.map((property) => (
              <Like key={property.name} likes={likes} property={property} />
            ))}
          </div>
        )}
        <Problem text={problem} testId="likes-problem" />
        {closed && (
          <p class="note" data-testid="ranked-closed">
            Closed now. Opens {opensText(info.opens!)}.
          </p>
        )}
        <PlayButton
          app={app}
          domain={domain}
          title={titles[domain]}
          name={name}
          disabled={disabled || closed}
          quiet
        />
      </div>
    </details>
  );
}

/** One choice: what the player has, and wants of the others. */
function Like({ likes, property }: { likes: Likes; property: DomainProperty }) {
  const chosen = useStore(likes.choices)[property.name] ?? "";
  const field = useId();
  return (
    <div class="field">
      <label for={field}>{capital(propertyTitle(property.name))}</label>
      <select
        id={field}
        value={property.values.includes(chosen) ? chosen : ""}
        data-testid={`like-${property.name}`}
        onChange={(event) => likes.choose(property.name, event.currentTarget.value)}
      >
        <option value="">Any</option>
        {property.values.map((value) => (
          <option key={value} value={value}>
            {capital(value)}
          </option>
        ))}
      </select>
    </div>
  );
}

function rulesText({ rated, acceptMs }: DomainInfo): string {
  const rating = rated ? "Ranked: it counts for a rating of its own." : "Not rated.";
  return acceptMs
    ? `${rating} Before the game begins everybody accepts it, within ${spanText(acceptMs)}.`
    : rating;
}

function opensText(opens: Date): string {
  return opens.toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" });
}
