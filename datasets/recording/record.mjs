#!/usr/bin/env node
// Records agent trajectories: the steps of scripts/*.yaml are really run in a fresh, private
// /workspace, and what comes back is written to ../<set>/rows/. See README.md.
//
//   node datasets/recording/record.mjs            every script
//   node datasets/recording/record.mjs --check    run again, report rows that would change
//   node datasets/recording/record.mjs --print kiln   only scripts whose name contains "kiln"; print them
import { spawn, spawnSync, execFileSync } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import YAML from 'yaml';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const DATASETS = path.dirname(HERE);
const WORKSPACE = '/workspace';
const SCREEN = { width: 140, height: 40 };
const COMMAND_LIMIT_MS = 90_000;
const FIXED_DATE = new Date('2026-03-02T09:00:00Z');

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const read = (file) => fs.readFileSync(file, 'utf8');

/** The only edits made to an output: running times and thread numbers that a tool prints are taken out. */
const TIMINGS = [
  [/^(Ran \d+ tests?) in \d+\.\d+s$/gm, '$1'], // unittest
  [/(target\(s\)) in \d+(\.\d+)?(s|m \d+(\.\d+)?s)/g, '$1'], // cargo build
  [/^(thread '.*') \(\d+\)( panicked)/gm, '$1$2'], // rust's thread numbers
  [/; finished in \d+\.\d+s/g, ''], // cargo test
  [/^([# ℹ]*)duration_ms \d+(\.\d+)?\n/gm, ''], // node --test
  [/^\s+duration_ms: \d+(\.\d+)?\n/gm, ''],
  [/^(\s*[✔✖▶].*) \(\d+(\.\d+)?ms\)/gm, '$1'],
];
/** bash -i without a terminal complains of it when a program dies by a signal; no agent's shell would. */
TIMINGS.push([/^bash: \[\d+: \d+ \(\d+\)\] tcsetattr: .*\n/gm, '']);
const withoutTimings = (text) => TIMINGS.reduce((out, [from, to]) => out.replace(from, to), text);

/** What a program prints, as it would stand in a transcript. */
const cleaned = (text) => withoutTimings(text.replace(/\r\n/g, '\n').normalize('NFC')).trimEnd();

const ENVIRONMENT = {
  PATH: '/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  USER: 'root',
  SHELL: '/bin/bash',
  LANG: 'C.UTF-8',
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  PYTHONDONTWRITEBYTECODE: '1',
  RUST_TEST_THREADS: '1',
  CARGO_NET_OFFLINE: 'true',
  CARGO_TERM_COLOR: 'never',
  CARGO_TERM_PROGRESS_WHEN: 'never',
  NODE_NO_WARNINGS: '1',
  NO_COLOR: '1',
  GIT_PAGER: 'cat',
  PAGER: 'cat',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'agent',
  GIT_AUTHOR_EMAIL: 'agent@example.org',
  GIT_COMMITTER_NAME: 'agent',
  GIT_COMMITTER_EMAIL: 'agent@example.org',
  GIT_AUTHOR_DATE: '2026-03-02T10:00:00Z',
  GIT_COMMITTER_DATE: '2026-03-02T10:00:00Z',
};

// ---------------------------------------------------------------- coding-agent: shell and editor

class Shell {
  constructor() {
    this.process = spawn('/bin/bash', ['--noprofile', '--norc', '-i'], {
      cwd: WORKSPACE,
      env: { ...ENVIRONMENT, TERM: 'dumb' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.buffer = '';
    this.process.stdout.on('data', (data) => (this.buffer += data));
    this.process.stdin.write('set +m\n');
  }

  async run(command) {
    fs.writeFileSync('/run/command', command);
    const end = `end-of-command-${Date.now()}`;
    this.buffer = '';
    this.process.stdin.write(
      `{ eval "$(cat /run/command)"; } </dev/null >/run/output 2>&1; echo "${end} $? $PWD"\n`,
    );
    const limit = Date.now() + COMMAND_LIMIT_MS;
    let found;
    while (!(found = new RegExp(`${end} (\\d+) (.*)\\n`).exec(this.buffer))) {
      if (this.process.exitCode !== null) throw new Error(`the shell ended in: ${command}`);
      if (Date.now() > limit) throw new Error(`no end after ${COMMAND_LIMIT_MS} ms: ${command}`);
      await sleep(20);
    }
    const output = cleaned(read('/run/output'));
    const state = `[Current working directory: ${found[2]}]\n[Command finished with exit code ${found[1]}]`;
    return output === '' ? state : `${output}\n${state}`;
  }

  close() {
    this.process.kill('SIGKILL');
  }
}

const numbered = (lines, first) =>
  lines.map((line, at) => `${String(first + at).padStart(6)}\t${line}`).join('\n');

function listing(directory) {
  const found = spawnSync('find', [directory, '-maxdepth', '2', '-not', '-path', '*/.*'], {
    encoding: 'utf8',
  });
  return found.stdout.trimEnd().split('\n').sort().join('\n');
}

/** str_replace_editor: returns the observation; a mistake of the agent's is an observation too. */
function edit(args) {
  const { command, path: file } = args;
  if (!file.startsWith('/')) return `ERROR:\nThe path ${file} is not absolute; did you mean ${WORKSPACE}/${file}?`;
  const exists = fs.existsSync(file);
  if (command === 'create') {
    if (exists) return `ERROR:\nA file already exists at ${file}; create does not overwrite.`;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, args.file_text);
    return `File created successfully at: ${file}`;
  }
  if (!exists) return `ERROR:\nThe path ${file} does not exist.`;
  if (fs.statSync(file).isDirectory()) {
    if (command !== 'view') return `ERROR:\n${file} is a directory; only view works on directories.`;
    return `Files and directories up to 2 levels deep in ${file}, hidden ones left out:\n${listing(file)}`;
  }
  const text = read(file);
  const lines = text.replace(/\n$/, '').split('\n');
  const snippet = (from, to) => {
    const after = read(file).replace(/\n$/, '').split('\n');
    const [first, last] = [Math.max(1, from), Math.min(after.length, to)];
    return (
      `The file ${file} has been edited. Here is the result of running \`cat -n\` on a part of it:\n` +
      `${numbered(after.slice(first - 1, last), first)}\n` +
      'Look over the change, and edit again if it is not what you meant.'
    );
  };
  if (command === 'view') {
    const [first, last] = args.view_range ?? [1, -1];
    const to = last === -1 ? lines.length : last;
    if (first < 1 || first > lines.length || to > lines.length)
      return `ERROR:\nInvalid view_range [${first}, ${last}]: the file has ${lines.length} lines.`;
    return `Here is the result of running \`cat -n\` on ${file}:\n${numbered(lines.slice(first - 1, to), first)}`;
  }
  if (command === 'str_replace') {
    const places = [];
    for (let at = text.indexOf(args.old_str); at !== -1; at = text.indexOf(args.old_str, at + 1))
      places.push(text.slice(0, at).split('\n').length);
    if (places.length === 0)
      return `ERROR:\nNo replacement was made: old_str does not occur verbatim in ${file}.`;
    if (places.length > 1)
      return `ERROR:\nNo replacement was made: old_str occurs ${places.length} times, at lines ${places.join(', ')}. It must be unique.`;
    const at = text.indexOf(args.old_str);
    fs.writeFileSync(file, text.slice(0, at) + args.new_str + text.slice(at + args.old_str.length));
    return snippet(places[0] - 3, places[0] + args.new_str.split('\n').length + 2);
  }
  if (command === 'insert') {
    if (args.insert_line < 0 || args.insert_line > lines.length)
      return `ERROR:\nInvalid insert_line ${args.insert_line}: the file has ${lines.length} lines.`;
    const added = args.new_str.replace(/\n$/, '').split('\n');
    lines.splice(args.insert_line, 0, ...added);
    fs.writeFileSync(file, `${lines.join('\n')}\n`);
    return snippet(args.insert_line - 2, args.insert_line + added.length + 3);
  }
  throw new Error(`unknown editor command ${command}`);
}

/** A step of a script → the tool call that it stands for. */
function callOf(step, root) {
  const at = (file) => path.posix.resolve(root, file);
  const editor = (command, file, rest) => ({
    name: 'str_replace_editor',
    arguments: { command, path: at(file), ...rest },
  });
  if ('run' in step) return { name: 'execute_bash', arguments: { command: step.run.trimEnd() } };
  if ('view' in step) return editor('view', step.view, step.lines ? { view_range: step.lines } : {});
  if ('create' in step) return editor('create', step.create, { file_text: step.text });
  if ('replace' in step)
    return editor('str_replace', step.replace, {
      old_str: step.old.replace(/\n$/, ''),
      new_str: step.new.replace(/\n$/, ''),
    });
  if ('insert' in step) return editor('insert', step.insert, { insert_line: step.after, new_str: step.text });
  if ('finish' in step) return { name: 'finish', arguments: { message: step.finish.trimEnd() } };
  throw new Error(`a step without an action: ${JSON.stringify(step)}`);
}

async function recordCoding(script, root) {
  const shell = new Shell();
  const messages = [
    { role: 'system', content: read(path.join(HERE, 'prompts/coding-agent.md')).trimEnd() },
    { role: 'user', content: script.task.trimEnd() },
  ];
  for (const [number, step] of script.steps.entries()) {
    const call = callOf(step, root);
    const id = `call_${number + 1}`;
    let observation;
    if (call.name === 'execute_bash') observation = await shell.run(call.arguments.command);
    else if (call.name === 'str_replace_editor') observation = edit(call.arguments);
    else observation = 'The task has been marked as finished.';
    const message = { role: 'assistant' };
    if (step.think) message.reasoning_content = step.think.trimEnd();
    message.content = step.say ? step.say.trimEnd() : null;
    message.tool_calls = [{ id, type: 'function', function: call }];
    messages.push(message, { role: 'tool', tool_call_id: id, name: call.name, content: observation });
  }
  shell.close();
  return messages;
}

// ---------------------------------------------------------------- terminal-agent: a real tmux pane

class Terminal {
  constructor(directory) {
    this.env = {
      ...ENVIRONMENT,
      TERM: 'screen',
      HISTFILE: '',
    };
    fs.writeFileSync('/run/tmux.conf', 'set -g history-limit 50000\nset -g status off\nset -g default-terminal screen\n');
    fs.writeFileSync('/run/bashrc', "PS1='\\u@sandbox:\\w# '\n");
    this.tmux('-f', '/run/tmux.conf', 'new-session', '-d', '-x', `${SCREEN.width}`, '-y', `${SCREEN.height}`, '-c', directory, '/bin/bash --noprofile --rcfile /run/bashrc');
    this.before = '';
  }

  tmux(...args) {
    return execFileSync('tmux', ['-u', '-S', '/run/tmux.sock', ...args], {
      env: this.env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** The whole scrollback, or only what is on the screen now. */
  pane(all) {
    return this.tmux('capture-pane', '-p', ...(all ? ['-S', '-'] : [])).trimEnd();
  }

  async press(keystrokes) {
    if (/^(C|M)-[a-z]$|^(Escape|Enter|Tab|Up|Down)$/.test(keystrokes)) return this.tmux('send-keys', keystrokes);
    for (const [at, line] of keystrokes.split('\n').entries()) {
      if (at > 0) {
        this.tmux('send-keys', 'Enter');
        await sleep(40); // a pasted line must not overtake the prompt of the one before
      }
      // tmux takes a semicolon at the end of an argument for its own separator
      if (line !== '') this.tmux('send-keys', '-l', '--', line.replace(/;$/, '\\;'));
    }
  }

  /** Waits as long as the agent asked, then, unless told not to, until the screen stands still. */
  async wait(seconds, settle) {
    await sleep(seconds * 1000);
    if (!settle) return;
    const limit = Date.now() + COMMAND_LIMIT_MS;
    for (let last = null, still = 0; still < 4; ) {
      if (Date.now() > limit) throw new Error('the screen does not come to rest');
      const now = this.pane(true);
      still = now === last ? still + 1 : 0;
      last = now;
      await sleep(120);
    }
  }

  screen() {
    const now = this.pane(true);
    const { before } = this;
    this.before = now;
    if (now.startsWith(before)) {
      const from = before.lastIndexOf('\n') + 1;
      return `New Terminal Output:\n\n${cleaned(now.slice(from))}`;
    }
    return `Current Terminal Screen:\n\n${cleaned(this.pane(false))}`;
  }

  close() {
    this.tmux('kill-server');
  }
}

/** The agent's answer, verbatim: nothing is escaped. */
function responseOf(step) {
  const keys = (step.keys ?? []).map(
    ([duration, keystrokes]) => `<keystrokes duration="${duration}">${keystrokes}</keystrokes>\n`,
  );
  return (
    `<response>\n<analysis>${step.analysis.trimEnd()}</analysis>\n<plan>${step.plan.trimEnd()}</plan>\n` +
    `<commands>\n${keys.join('')}</commands>\n${step.done ? '<task_complete>true</task_complete>\n' : ''}</response>`
  );
}

async function recordTerminal(script, root) {
  const terminal = new Terminal(root);
  await terminal.wait(0.5, true);
  terminal.before = terminal.pane(true);
  const messages = [
    { role: 'system', content: read(path.join(HERE, 'prompts/terminal-agent.md')).trimEnd() },
    { role: 'user', content: `${script.task.trimEnd()}\n\nCurrent Terminal Screen:\n\n${terminal.before}` },
  ];
  for (const [number, step] of script.steps.entries()) {
    const message = { role: 'assistant' };
    if (step.think) message.reasoning_content = step.think.trimEnd();
    message.content = responseOf(step);
    messages.push(message);
    for (const [duration, keystrokes] of step.keys ?? []) {
      await terminal.press(keystrokes);
      await terminal.wait(Number(duration), step.settle !== false);
    }
    const last = terminal.pane(true).split('\n').at(-1);
    if (!/[#>$]$/.test(last)) console.log(`${script.row}, step ${number + 1} ends without a prompt: ${last}`);
    if (number < script.steps.length - 1) messages.push({ role: 'user', content: terminal.screen() });
  }
  terminal.close();
  return messages;
}

// ---------------------------------------------------------------- rows

const TOOLS = YAML.parse(read(path.join(HERE, 'prompts/coding-agent-tools.yaml')));

function checked(row) {
  const text = YAML.stringify(row, { lineWidth: 0, blockQuote: 'literal', aliasDuplicateObjects: false });
  if (!isDeepStrictEqual(YAML.parse(text), row)) throw new Error('the row does not survive YAML');
  if (text !== text.normalize('NFC')) throw new Error('the row is not in NFC');
  for (const [what, pattern] of [
    ['a replacement character', /\uFFFD/],
    ['a control character', /(?![\n\t])\p{Cc}/u],
    ['a path of this machine', /\/(work|home|opt)\/|\.pyenv|\/root\/\.rustup/],
  ])
    if (pattern.test(text)) throw new Error(`the row holds ${what}: ${pattern.exec(text).input.slice(Math.max(0, pattern.exec(text).index - 60), pattern.exec(text).index + 60)}`);
  return text;
}

function rowOf(script, messages) {
  const row = {
    language: script.language,
    category: script.set.replace('-', '_'),
    topic: script.topic,
  };
  if (messages.some((message) => message.reasoning_content))
    row.reasoning_language = script.reasoning_language ?? script.language;
  if (script.set === 'coding-agent') row.tools = TOOLS;
  row.messages = messages;
  return checked(row);
}

const mount = (...args) => execFileSync('mount', args);

/** Runs inside the namespaces: a fresh /workspace, /tmp, /run and /root that nobody else sees. */
async function inside(scriptFile, output, rustRoot) {
  mount('-t', 'tmpfs', 'none', '/opt');
  if (rustRoot) {
    fs.mkdirSync('/opt/rust');
    mount('--bind', rustRoot, '/opt/rust');
  }
  const keep = fs.openSync(output, 'w');
  for (const place of [WORKSPACE, '/tmp', '/run', '/root']) mount('-t', 'tmpfs', 'none', place);
  execFileSync('hostname', ['sandbox']);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  fs.chmodSync('/tmp', 0o1777);

  const script = YAML.parse(read(scriptFile));
  const root = path.join(WORKSPACE, script.program);
  fs.cpSync(path.join(HERE, 'programs', script.program), root, { recursive: true });
  const setup = path.join(root, 'setup.sh');
  if (fs.existsSync(setup)) {
    const made = spawnSync('bash', ['setup.sh'], { cwd: root, env: ENVIRONMENT, encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`setup.sh: ${made.stderr}`);
    fs.rmSync(setup, { force: true });
  }
  for (const file of fs.readdirSync(root, { recursive: true }))
    if (!file.startsWith('.git/')) fs.utimesSync(path.join(root, file), FIXED_DATE, FIXED_DATE);
  fs.utimesSync(root, FIXED_DATE, FIXED_DATE);
  process.chdir(WORKSPACE);
  const messages =
    script.set === 'coding-agent' ? await recordCoding(script, root) : await recordTerminal(script, root);
  fs.writeSync(keep, rowOf(script, messages));
}

function record(scriptFile, output, rustRoot) {
  return new Promise((done, fail) => {
    const child = spawn(
      'unshare',
      ['--mount', '--uts', '--ipc', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', 'setarch', '-R', process.execPath,
        fileURLToPath(import.meta.url), '--inside', scriptFile, output, rustRoot],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    child.on('exit', (code) => (code === 0 ? done() : fail(new Error(`${path.basename(scriptFile)} failed`))));
  });
}

function printRow(text) {
  for (const [at, message] of YAML.parse(text).messages.entries()) {
    if (message.role === 'system') continue;
    console.log(`\n==== ${at} ${message.role}`);
    if (message.content) console.log(message.content);
    for (const call of message.tool_calls ?? []) console.log(`>> ${JSON.stringify(call.function)}`);
  }
}

async function main(args) {
  if (args[0] === '--inside') return inside(args[1], args[2], args[3]);
  const flags = new Set(args.filter((arg) => arg.startsWith('--')));
  const wanted = args.filter((arg) => !arg.startsWith('--'));
  const rust = spawnSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' });
  const rustRoot = rust.status === 0 ? rust.stdout.trim() : '';
  const made = !fs.existsSync(WORKSPACE);
  if (made) fs.mkdirSync(WORKSPACE);
  let trouble = 0;
  const scripts = fs.readdirSync(path.join(HERE, 'scripts')).filter((file) => file.endsWith('.yaml')).sort();
  const queue = scripts.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
  const worker = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const { set, row } = YAML.parse(read(path.join(HERE, 'scripts', file)));
      const target = path.join(DATASETS, set, 'rows', `${row}.yaml`);
      const output = path.join('/var/tmp', `recording-${process.pid}-${row}.yaml`);
      try {
        await record(path.join(HERE, 'scripts', file), output, rustRoot);
        const text = read(output);
        const old = fs.existsSync(target) ? read(target) : null;
        const steps = YAML.parse(text).messages.filter((message) => message.role === 'assistant').length;
        console.log(`${set}/${row}: ${steps} steps, ${text.length} characters, ${old === null ? 'new' : old === text ? 'unchanged' : 'CHANGED'}`);
        if (flags.has('--print')) printRow(text);
        if (flags.has('--check')) {
          trouble += old === text ? 0 : 1;
          if (old !== null && old !== text) {
            const [was, is] = [old.split('\n'), text.split('\n')];
            const at = is.findIndex((line, number) => line !== was[number]);
            console.log(`  line ${at + 1}\n  was ${was[at]}\n  is  ${is[at]}`);
          }
        } else {
          fs.mkdirSync(path.dirname(target), { recursive: true });
          fs.writeFileSync(target, text);
        }
      } catch (error) {
        console.error(`${file}: ${error.message}`);
        trouble += 1;
      } finally {
        fs.rmSync(output, { force: true });
      }
    }
  };
  await Promise.all([worker(), worker()]);
  if (made) fs.rmdirSync(WORKSPACE);
  process.exitCode = trouble ? 1 : 0;
}

await main(process.argv.slice(2));
