// Builds one static site with relative addresses, so that the host may serve it from any path.
import { env } from "node:process";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: env["SCENEHOST_PAGES_OUT"] ?? "../../target/pages",
    emptyOutDir: true,
    // Files stay files: nothing inline, so that a strict content security policy can hold.
    assetsInlineLimit: 0,
    rolldownOptions: { input: ["index.html", "replay/index.html"] },
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  // `npm run dev` serves the pages and leaves sockets to a running host.
  server: {
    proxy: { "/v1": { target: env["SCENEHOST_URL"] ?? "http://127.0.0.1:8080", ws: true } },
  },
});
