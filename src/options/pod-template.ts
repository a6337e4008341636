/** The input `pod-template`. */
import { resolve } from 'node:path';
import { invalidInput, type InputError, quote } from './errors.ts';
import { didYouMean } from './nearest-name.ts';
import type { BuilderOptions } from './options.ts';
import type { World } from './world.ts';
import { isJsonMap, type JsonMap, parseManifest } from './yaml-manifest.ts';
import { looksLikeYamlMap } from './yaml-tree.ts';

const input = 'pod-template';
const expected =
  'a pod template {metadata: …, spec: …}, as YAML or as the path of a YAML file; also a whole Pod';
const parts = ['metadata', 'spec'];
const aboutManifest = ['apiVersion', 'kind', 'status'];

/** A manifest, as YAML, as the path of it, or parsed → `{metadata, spec}`; throws an `InputError`. */
export function parsePodTemplate(given: unknown, world: World): BuilderOptions['podTemplate'] {
  const manifest = typeof given === 'string' ? parseManifest(input, readText(given, world)) : given;
  if (!isJsonMap(manifest)) throw wrong('is not a map');
  return templateOf(manifest);
}

function readText(text: string, world: World): string {
  if (looksLikeYamlMap(text) || /[\r\n]/.test(text)) return text;
  const path = resolve(world.cwd, text);
  const content = world.pathKind(path) === 'file' ? world.readText(path) : undefined;
  if (content !== undefined) return content;
  throw invalidInput({
    input,
    value: text,
    problem: `is neither YAML nor a file that can be read: looked at ${path}`,
    expected,
  });
}

function templateOf(manifest: JsonMap): JsonMap {
  const { kind, template } = manifest;
  if (kind === 'PodTemplate' && isJsonMap(template)) return templateOf(template);
  if (kind !== undefined && kind !== 'Pod') {
    const shown = typeof kind === 'string' ? quote(kind) : 'that is no text';
    throw wrong(`has the kind ${shown}`, 'Give what is below its `spec.template`.');
  }
  for (const [key, value] of Object.entries(manifest)) {
    if (aboutManifest.includes(key)) continue;
    if (!parts.includes(key)) throw unknownKey(key);
    if (value !== null && !isJsonMap(value)) throw wrong(`has a \`${key}\` that is not a map`);
  }
  const given = parts.filter((part) => isJsonMap(manifest[part]));
  return Object.fromEntries(given.map((part) => [part, manifest[part]]));
}

function unknownKey(key: string): InputError {
  const hint = didYouMean(key, parts) ?? 'Fields of the pod stand below `spec`.';
  return wrong(`has the unknown key ${quote(key)}`, hint);
}

function wrong(problem: string, hint?: string): InputError {
  return invalidInput({ input, problem, expected, hint });
}
