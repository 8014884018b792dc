import { Command } from 'commander';
import { uploadFolder, type Uploaded } from '../../data/hub/upload.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { interruption } from '../exit.js';
import { print, printJson, progressOf } from '../options.js';

export function pushCommand(): Command {
  return new Command('push')
    .description('Upload a finished checkpoint to the Hub, with the model card that the run wrote.')
    .argument('<checkpoint>', 'the quantized checkpoint')
    .argument('<repository>', 'org/name[@branch]')
    .option('--private', 'make the repository private if it does not exist', false)
    .option('--json', 'one JSON document on stdout', false)
    .addHelpText(
      'after',
      '\nHF_TOKEN must hold a token that may write; HF_ENDPOINT names another Hub.\n\nExample:\n  evenkeel push out/polyglot-moe-w4a16 my-org/polyglot-moe-w4a16',
    )
    .action(
      async (
        checkpoint: string,
        repository: string,
        options: { private: boolean; json: boolean },
        command: Command,
      ) => {
        const progress = progressOf(command);
        // A folder without config.json is not a finished checkpoint.
        const folder = await modelFolder({ kind: 'folder', path: checkpoint });
        const upload = uploadFolder(repository, folder, { private: options.private, signal: interruption.signal });
        let uploaded: Uploaded;
        for (;;) {
          const next = await upload.next();
          if (next.done === true) {
            uploaded = next.value;
            break;
          }
          if (next.value.type === 'created') progress.note(`created ${next.value.id}`);
          else progress.stage(`${next.value.state} ${next.value.path}`);
        }
        progress.end();
        if (options.json) printJson(uploaded);
        else print(`Pushed to ${uploaded.url} (${uploaded.revision})`);
      },
    );
}
