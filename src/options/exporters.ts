/**
 * `outputs`, `push` and `tags` → exporters of the solve request.
 *
 * Combined as docker/buildx does (commands/build.go, build/opt.go), attributes checked as
 * moby/buildkit would (exporter/containerimage).
 */
import { parseCsvFields } from './csv-fields.ts';
import { InputError, invalidInput, notSupportedYet, quote } from './errors.ts';
import { checkImageAttrs, isTrueAttr } from './image-attrs.ts';
import {
  describeReferenceProblem,
  imageReferenceForm,
  parseImageReference,
} from './image-reference.ts';
import type { InputReader } from './input-reader.ts';
import type { Exporter } from './options.ts';

type Attrs = Record<string, string>;

const laterTypes = new Set(['local', 'tar', 'oci', 'docker']);

/** What leaves the builder, and what is odd about it. */
export interface ParsedExporters {
  readonly exporters: readonly Exporter[];
  readonly warnings: readonly string[];
}

/** Parses `outputs`, `push` and `tags` together. */
export function parseExporters(reader: InputReader): ParsedExporters {
  const { problems } = reader;
  const lines = reader.rawLineList('outputs');
  const outputs = problems.guardEach(lines, parseOutput);
  const tags = problems.guardEach(reader.commaList('tags'), (tag) => checkReference('tags', tag));
  const push = reader.boolean('push') === true;
  if (lines.length > 1) {
    problems.add(notSupportedYet('more than one of `outputs`', 'Keep one line of `outputs`.'));
  }
  const images = outputs.filter((output) => output !== 'cacheonly');
  // A malformed output must not be replaced by one that `push` would add.
  if (push && images.length === 0 && outputs.length === lines.length) images.push({});
  const exporters = images.map((attrs): Exporter => {
    const complete = completeAttrs(attrs, { push, tags });
    problems.guard(undefined, () => {
      checkNames(complete, reader.commaList('tags').length > 0);
    });
    return { type: 'image', attrs: complete };
  });
  const warnings = images.flatMap((attrs) => problems.guard([], () => checkImageAttrs(attrs)));
  if (lines.length === 0 && !push) warnings.push(describeNoOutput(tags));
  return { exporters, warnings };
}

/** Attributes of an image output, or that nothing shall leave the builder. */
function parseOutput(line: string): Attrs | 'cacheonly' {
  const fields = parseCsvFields('outputs', line);
  const [only = ''] = fields;
  if (fields.length === 1 && !only.includes('=')) {
    throw notSupportedYet(`input \`outputs\`: writing to ${quote(only)}`, imagesOnly);
  }
  const attrs: Attrs = Object.fromEntries(fields.map(keyValue));
  const { type, dest, ...rest } = attrs;
  if (type === 'cacheonly') return type;
  if (type === 'image' || type === 'registry') {
    if (dest !== undefined) {
      throw invalidInput({
        input: 'outputs',
        value: line,
        problem: `has \`dest\`, which \`type=${type}\` cannot use`,
      });
    }
    return type === 'image' ? rest : { unpack: 'false', ...rest, push: 'true' };
  }
  if (type !== undefined && laterTypes.has(type)) {
    throw notSupportedYet(`input \`outputs\`: \`type=${type}\``, imagesOnly);
  }
  throw invalidInput({
    input: 'outputs',
    value: line,
    problem: type === undefined ? 'has no type' : `has the unknown type \`${type}\``,
    expected: 'type=image or type=registry with attributes, such as type=registry,compression=zstd',
  });
}

const imagesOnly = 'Use `type=image` or `type=registry`.';

function keyValue(field: string): [string, string] {
  const equals = field.indexOf('=');
  if (equals < 1) {
    throw invalidInput({
      input: 'outputs',
      value: field,
      problem: 'is not an attribute',
      expected: 'key=value',
    });
  }
  return [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1)];
}

function completeAttrs(
  attrs: Readonly<Attrs>,
  { push, tags }: { push: boolean; tags: readonly string[] },
): Readonly<Attrs> {
  return {
    ...(push ? { unpack: 'false' } : {}),
    ...attrs,
    ...(push ? { push: 'true' } : {}),
    ...(tags.length > 0 ? { name: tags.join(',') } : {}),
  };
}

/** Throws when what is pushed has no name, or a name that cannot be pushed to. */
function checkNames(attrs: Readonly<Attrs>, hasTags: boolean): void {
  const { name = '' } = attrs;
  const input = hasTags ? 'tags' : 'outputs';
  const names = name.split(',').filter((each) => each.trim() !== '');
  if (!hasTags) names.forEach((each) => checkReference(input, each.trim()));
  if (!isTrueAttr(attrs.push)) return;
  if (names.length === 0 && !hasTags) {
    throw invalidInput({
      input: 'tags',
      problem: 'tag is needed when pushing to registry',
      hint: 'Set `tags`, or `name=` in `outputs`.',
    });
  }
  if (!isTrueAttr(attrs['push-by-digest'])) return;
  const tagged = names.find((each) => {
    const reference = parseImageReference(each.trim());
    return reference?.tag !== undefined || reference?.digest !== undefined;
  });
  if (tagged !== undefined) {
    throw new InputError(
      'INPUT_CONTRADICTION',
      `input \`outputs\`: \`push-by-digest=true\` contradicts the tag in ${quote(tagged)}`,
      { hint: `Name the repository alone in \`${input}\`, without tag and digest.` },
    );
  }
}

function checkReference(input: string, text: string): string {
  if (parseImageReference(text) !== undefined) return text;
  throw invalidInput({
    input,
    value: text,
    problem: describeReferenceProblem(text),
    expected: imageReferenceForm,
  });
}

function describeNoOutput(tags: readonly string[]): string {
  const unused = tags.length === 0 ? '' : ', and `tags` name nothing';
  return `No output is set: the result stays in the build cache${unused}. Set \`push: true\` to push it.`;
}
