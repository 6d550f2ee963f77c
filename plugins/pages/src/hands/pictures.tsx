// What the hands stand for, as pictures.
import type { Hand } from "./game.js";

export function HandPicture({ hand }: { hand: Hand }) {
  return (
    <svg class={`hand-picture hand-${hand}`} viewBox="0 0 100 100" aria-hidden="true">
      {hand === "rock" && <Rock />}
      {hand === "paper" && <Paper />}
      {hand === "scissors" && <Scissors />}
    </svg>
  );
}

function Rock() {
  return (
    <>
      <path class="rock-body" d="M14 62L24 34L46 18L70 24L88 48L84 72L62 84L30 82Z" />
      <path class="rock-light" d="M24 34L46 18L70 24L54 42L34 44Z" />
      <path class="rock-lines" d="M34 44L30 82M54 42L62 84M54 42L34 44M54 42L88 48" />
    </>
  );
}

function Paper() {
  return (
    <>
      <path class="paper-sheet" d="M24 12H62L78 28V88H24Z" />
      <path class="paper-fold" d="M62 12V28H78Z" />
      <path class="paper-lines" d="M34 42H68M34 54H68M34 66H56" />
    </>
  );
}

function Scissors() {
  return (
    <>
      <path class="blade" d="M30 66L76 14L70 34L42 70Z" />
      <path class="blade" d="M70 66L24 14L30 34L58 70Z" />
      <circle class="grip" cx="30" cy="76" r="12" />
      <circle class="grip" cx="70" cy="76" r="12" />
      <circle class="screw" cx="50" cy="49" r="3.5" />
    </>
  );
}
