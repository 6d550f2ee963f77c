// Sparks and explosions, and nothing that the game depends on.
//
// Invariant: never more than PARTICLES_MAX particles; the oldest go first.
const PARTICLES_MAX = 300;

interface Particle {
  x: number;
  y: number;
  vx: number;
  vy: number;
  color: string;
  bornMs: number;
  lifeMs: number;
}

interface Ring {
  x: number;
  y: number;
  color: string;
  bornMs: number;
}

const RING_MS = 450;

export class Effects {
  #particles: Particle[] = [];
  #rings: Ring[] = [];
  readonly #calm: boolean;

  /** `calm`: the player asked for reduced motion, so that only rings are shown. */
  constructor(calm: boolean) {
    this.#calm = calm;
  }

  hit(x: number, y: number, color: string, nowMs: number): void {
    this.#burst(x, y, color, 8, 160, 280, nowMs);
  }

  explode(x: number, y: number, color: string, nowMs: number): void {
    this.#rings.push({ x, y, color, bornMs: nowMs });
    this.#burst(x, y, color, 36, 300, 700, nowMs);
  }

  draw(canvas: CanvasRenderingContext2D, nowMs: number): void {
    this.#particles = this.#particles.filter((spark) => nowMs - spark.bornMs < spark.lifeMs);
    this.#rings = this.#rings.filter((ring) => nowMs - ring.bornMs < RING_MS);
    for (const { x, y, vx, vy, color, bornMs, lifeMs } of this.#particles) {
      const age = (nowMs - bornMs) / lifeMs;
      const way = ((nowMs - bornMs) / 1000) * (1 - age / 2);
      canvas.globalAlpha = 1 - age;
      canvas.fillStyle = color;
      canvas.beginPath();
      canvas.arc(x + vx * way, y + vy * way, 3.2 * (1 - age) + 0.8, 0, Math.PI * 2);
      canvas.fill();
    }
    for (const { x, y, color, bornMs } of this.#rings) {
      const age = (nowMs - bornMs) / RING_MS;
      canvas.globalAlpha = 1 - age;
      canvas.strokeStyle = color;
      canvas.lineWidth = 5 * (1 - age);
      canvas.beginPath();
      canvas.arc(x, y, 14 + 60 * age, 0, Math.PI * 2);
      canvas.stroke();
    }
    canvas.globalAlpha = 1;
  }

  #burst(
    x: number,
    y: number,
    color: string,
    count: number,
    speedMax: number,
    lifeMs: number,
    nowMs: number,
  ): void {
    if (this.#calm) return;
    for (let i = 0; i < count; i++) {
      const angle = Math.random() * Math.PI * 2;
      const speed = speedMax * (0.25 + 0.75 * Math.random());
      const [vx, vy] = [Math.cos(angle) * speed, Math.sin(angle) * speed];
      const life = lifeMs * (0.6 + 0.4 * Math.random());
      this.#particles.push({ x, y, vx, vy, color, bornMs: nowMs, lifeMs: life });
    }
    this.#particles.splice(0, this.#particles.length - PARTICLES_MAX);
  }
}
