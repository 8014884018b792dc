import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** A repository as the server holds it: branches and conversions are commits, commits are files. */
export interface ServedRepository {
  readonly type: 'model' | 'dataset';
  readonly id: string;
  readonly refs: Record<string, string>;
  readonly commits: Record<string, Record<string, Buffer>>;
  readonly license?: string;
  /** The token that opens it. */
  readonly token?: string;
  readonly gated?: boolean;
}

/** What to do to requests instead of serving them. */
export interface Fault {
  readonly url: RegExp;
  readonly method?: string;
  times: number;
  readonly act: (request: IncomingMessage, response: ServerResponse, serve: () => void) => void;
}

/** Files from this size on are LFS objects. */
const LFS_BYTES = 1000;
const PAGE_ENTRIES = 2;

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function gitSha1(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

export interface HubServer {
  readonly endpoint: string;
  readonly repositories: ServedRepository[];
  readonly faults: Fault[];
  /** `METHOD /path range` of every request served. */
  readonly log: string[];
  close(): Promise<void>;
}

/** A server that speaks the Hub's protocol over real sockets, as far as clients of data sets and models need it. */
export async function startHub(repositories: ServedRepository[]): Promise<HubServer> {
  const faults: Fault[] = [];
  const log: string[] = [];
  const objects = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    log.push([request.method, decodeURIComponent(url), request.headers.range].filter(Boolean).join(' '));
    const fault = faults.find(
      (each) => each.times > 0 && each.url.test(url) && (each.method ?? request.method) === request.method,
    );
    const serve = () => {
      void handle(request, response, { endpoint: endpointOf(), repositories, objects });
    };
    if (fault === undefined) serve();
    else {
      fault.times--;
      fault.act(request, response, serve);
    }
  });
  const endpointOf = () => {
    const address = server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: endpointOf(),
    repositories,
    faults,
    log,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface State {
  readonly endpoint: string;
  readonly repositories: ServedRepository[];
  readonly objects: Map<string, Buffer>;
}

async function handle(request: IncomingMessage, response: ServerResponse, state: State): Promise<void> {
  const url = new URL(request.url ?? '', state.endpoint);
  const path = url.pathname;
  const cdn = /^\/cdn\/([0-9a-f]{64})$/u.exec(path);
  if (cdn !== null) {
    // A storage server knows nothing of the Hub's tokens.
    if (request.headers.authorization !== undefined)
      return send(response, 400, 'a token was sent to the storage server');
    const bytes = state.objects.get(cdn[1] ?? '');
    return bytes === undefined ? send(response, 404) : sendBytes(request, response, bytes, '"storage"');
  }
  if (request.method === 'POST' || request.method === 'PUT') return handleWrite(request, response, path, state);
  const api = /^\/api\/(model|dataset)s\/([^/]+\/[^/]+)(?:\/(revision|tree)\/([^/]+))?$/u.exec(path);
  const resolve = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/u.exec(path);
  const type = api?.[1] ?? (resolve?.[1] === undefined ? 'model' : 'dataset');
  const id = api?.[2] ?? resolve?.[2];
  const repository = state.repositories.find((each) => each.type === type && each.id === id);
  const authorized = repository?.token === undefined || request.headers.authorization === `Bearer ${repository.token}`;
  if (repository === undefined || (!authorized && repository.gated !== true)) {
    return send(response, 401, '{}', { 'x-error-code': 'RepoNotFound' });
  }
  if (!authorized) return send(response, 403, '{}', { 'x-error-code': 'GatedRepo' });
  if (api !== null && api[3] === undefined) return sendJson(response, { id });
  const revision = decodeURIComponent(api?.[4] ?? resolve?.[3] ?? '');
  const sha = repository.refs[revision] ?? revision;
  const files = repository.commits[sha];
  if (files === undefined) return send(response, 404, '{}', { 'x-error-code': 'RevisionNotFound' });
  if (api?.[3] === 'revision') {
    return sendJson(response, {
      id,
      sha,
      cardData: repository.license === undefined ? null : { license: repository.license },
    });
  }
  if (api?.[3] === 'tree') return sendTree(response, files, url);
  const bytes = files[decodeURIComponent(resolve?.[4] ?? '')];
  if (bytes === undefined) return send(response, 404, '', { 'x-error-code': 'EntryNotFound' });
  if (bytes.length < LFS_BYTES) {
    response.setHeader('x-repo-commit', sha);
    return sendBytes(request, response, bytes, `"${gitSha1(bytes)}"`);
  }
  state.objects.set(sha256(bytes), bytes);
  response.writeHead(302, {
    location: `${state.endpoint.replace('127.0.0.1', 'localhost')}/cdn/${sha256(bytes)}?signature=1`,
    'x-linked-etag': `"${sha256(bytes)}"`,
    'x-linked-size': String(bytes.length),
    'x-repo-commit': sha,
  });
  response.end();
}

function sendTree(response: ServerResponse, files: Record<string, Buffer>, url: URL): void {
  const names = Object.keys(files).sort();
  const start = Number(url.searchParams.get('cursor') ?? 0);
  const entries = names.slice(start, start + PAGE_ENTRIES).map((path) => {
    const bytes = files[path] ?? Buffer.alloc(0);
    const entry = { type: 'file', path, size: bytes.length, oid: gitSha1(bytes) };
    return bytes.length < LFS_BYTES
      ? entry
      : { ...entry, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } };
  });
  const next = start + PAGE_ENTRIES;
  url.searchParams.set('cursor', String(next));
  sendJson(response, entries, next < names.length ? { link: `<${url.href}>; rel="next"` } : {});
}

async function handleWrite(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  state: State,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const body = Buffer.concat(chunks);
  const upload = /^\/upload\/([0-9a-f]{64})$/u.exec(path);
  if (upload !== null) {
    const matches = sha256(body) === upload[1];
    if (matches) state.objects.set(sha256(body), body);
    return send(response, matches ? 200 : 400);
  }
  const token = request.headers.authorization?.replace('Bearer ', '');
  if (token !== 'hf_writer') return sendJson(response, { error: 'no right to write' }, {}, 403);
  if (path === '/api/repos/create') {
    const { name, organization, type } = JSON.parse(body.toString());
    state.repositories.push({ type, id: `${organization}/${name}`, refs: { main: '0'.repeat(40) }, commits: {} });
    return sendJson(response, { url: `${state.endpoint}/${organization}/${name}`, id: `${organization}/${name}` });
  }
  const id = /^\/(?:api\/models\/)?([^/]+\/[^/.]+)/u.exec(path)?.[1];
  const repository = state.repositories.find((each) => each.id === id);
  if (repository === undefined) return send(response, 404);
  if (path.includes('/preupload/')) {
    const { files } = JSON.parse(body.toString());
    const modes = files.map((file: { path: string; size: number }) => ({
      path: file.path,
      uploadMode: file.size < LFS_BYTES ? 'regular' : 'lfs',
    }));
    return sendJson(response, { files: modes });
  }
  if (path.endsWith('/info/lfs/objects/batch')) {
    const wanted: { oid: string; size: number }[] = JSON.parse(body.toString()).objects;
    const answer = wanted.map((object) => ({
      ...object,
      ...(state.objects.has(object.oid)
        ? {}
        : { actions: { upload: { href: `${state.endpoint}/upload/${object.oid}` } } }),
    }));
    return sendJson(response, { transfer: 'basic', objects: answer });
  }
  const lines = body
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const files: Record<string, Buffer> = {};
  for (const { key, value } of lines) {
    if (key === 'file') files[value.path] = Buffer.from(value.content, 'base64');
    if (key === 'lfsFile') files[value.path] = state.objects.get(value.oid) ?? Buffer.alloc(0);
  }
  const sha = createHash('sha1').update(body).digest('hex');
  repository.commits[sha] = { ...repository.commits[repository.refs['main'] ?? ''], ...files };
  repository.refs['main'] = sha;
  return sendJson(response, { commitOid: sha, commitUrl: `${state.endpoint}/${id}/commit/${sha}`, hookOutput: '' });
}

function sendBytes(request: IncomingMessage, response: ServerResponse, bytes: Buffer, etag: string): void {
  const range = /^bytes=(\d+)-(\d*)$/u.exec(request.headers.range ?? '');
  if (range === null) {
    response.writeHead(200, { 'content-length': bytes.length, etag });
    response.end(bytes);
    return;
  }
  const start = Number(range[1]);
  const end = range[2] === '' ? bytes.length : Math.min(Number(range[2]) + 1, bytes.length);
  if (start >= bytes.length) return send(response, 416);
  response.writeHead(206, {
    'content-length': end - start,
    'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
    etag,
  });
  response.end(bytes.subarray(start, end));
}

function send(response: ServerResponse, status: number, body = '', headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function sendJson(response: ServerResponse, value: unknown, headers: Record<string, string> = {}, status = 200): void {
  send(response, status, JSON.stringify(value), { ...headers, 'content-type': 'application/json' });
}

/** Faults that happen on the way. */
export const status =
  (code: number, headers: Record<string, string> = {}): Fault['act'] =>
  (_, response) =>
    send(response, code, '{}', headers);

/** The connection is cut before an answer. */
export const cut: Fault['act'] = (request) => {
  request.socket.destroy();
};

/** The body ends early: with the connection cut, or as if it were whole (chunked, cleanly closed). */
export const truncate =
  (bytes: Buffer, length: number, clean: boolean): Fault['act'] =>
  (request, response) => {
    response.writeHead(200, clean ? {} : { 'content-length': bytes.length });
    response.write(bytes.subarray(0, length), () => {
      if (clean) response.end();
      else setTimeout(() => request.socket.destroy(), 20);
    });
  };
