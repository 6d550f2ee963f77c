// The pictures of the home view.
import { HandPicture } from "../hands/pictures.js";

const STONES: readonly (readonly [x: number, y: number, black: boolean])[] = [
  [3, 3, true],
  [4, 3, true],
  [5, 3, true],
  [6, 3, true],
  [7, 3, true],
  [2, 3, false],
  [4, 2, false],
  [5, 4, false],
  [6, 4, false],
  [7, 2, false],
  [3, 4, false],
  [6, 2, true],
  [4, 4, true],
  [8, 4, true],
  [5, 1, true],
  [6, 5, false],
];

export function GomokuArt() {
  return (
    <svg viewBox="0 0 11 6.6" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <defs>
        <radialGradient id="art-black" cx=".36" cy=".3" r=".8">
          <stop offset="0" stop-color="#5d6462" />
          <stop offset=".6" stop-color="#1c201f" />
          <stop offset="1" stop-color="#0b0d0c" />
        </radialGradient>
        <radialGradient id="art-white" cx=".36" cy=".3" r=".8">
          <stop offset="0" stop-color="#ffffff" />
          <stop offset=".7" stop-color="#efece4" />
          <stop offset="1" stop-color="#c9c3b5" />
        </radialGradient>
      </defs>
      <rect class="wood" width="11" height="6.6" />
      <path
        class="wood-lines"
        d={Array.from({ length: 11 }, (_, i) => `M${i + 0.5} -1V8M-1 ${i + 0.3}H12`).join("")}
      />
      {STONES.map(([x, y, black]) => (
        <g key={`${x}-${y}`}>
          <circle class="stone-shade" cx={x + 0.56} cy={y + 0.4} r=".43" />
          <circle
            cx={x + 0.5}
            cy={y + 0.3}
            r=".43"
            fill={`url(#art-${black ? "black" : "white"})`}
          />
        </g>
      ))}
      <path class="art-line" d="M3.5 3.3H7.5" />
    </svg>
  );
}

export function ArenaArt() {
  const ship = "M18 0L-11 11L-6 0L-11 -11Z";
  return (
    <svg viewBox="0 0 440 264" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <rect width="440" height="264" fill="#0c1420" />
      <path
        d={Array.from({ length: 12 }, (_, i) => `M${i * 40 - 10} 0V264M0 ${i * 40 - 8}H440`).join(
          "",
        )}
        stroke="#18263a"
      />
      <rect x="196" y="60" width="22" height="130" rx="6" fill="#26384f" stroke="#3d5876" />
      <rect x="300" y="196" width="120" height="20" rx="6" fill="#26384f" stroke="#3d5876" />
      <g stroke-width="4" stroke-linecap="round">
        <path d="M120 131l22 -7M162 117l22 -7" stroke="#5ad1ff" />
        <path d="M288 108l-20 10" stroke="#ffd24a" />
      </g>
      <g stroke="#ff8a66" stroke-width="3" stroke-linecap="round">
        <path d="M336 64l9 -9M352 76l13 2M340 84l4 12M322 74l-11 5M328 58l-4 -11" />
      </g>
      <path d={ship} transform="translate(88 142) rotate(-18)" fill="#5ad1ff" />
      <path d={ship} transform="translate(322 92) rotate(154)" fill="#ffd24a" />
      <path d={ship} transform="translate(350 152) rotate(-98)" fill="#c58bff" />
      <g fill="none" stroke="#5ad1ff" stroke-opacity=".35">
        <circle cx="88" cy="142" r="27" />
      </g>
    </svg>
  );
}

export function HandsArt() {
  return (
    <div class="hands-art" aria-hidden="true">
      <HandPicture hand="rock" />
      <HandPicture hand="paper" />
      <HandPicture hand="scissors" />
    </div>
  );
}
