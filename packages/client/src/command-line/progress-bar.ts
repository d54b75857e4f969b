// How far a task is, on a terminal as a bar, and anywhere else as a line for each step.
import type { TaskProgress } from "../events/task-event.ts";

export interface ProgressBar {
  show(progress: TaskProgress): void;
  end(): void;
}

const whole = 100;

export async function progressBar(stream: NodeJS.WriteStream): Promise<ProgressBar> {
  if (stream.isTTY !== true) return plainLines(stream);
  const { default: library } = await import("cli-progress");
  const format = "{bar} {percentage} % {note}";
  const bar = new library.SingleBar({ stream, format, hideCursor: true }, library.Presets.shades_classic);
  bar.start(whole, 0, { note: "" });
  return {
    show: ({ fraction, note = "" }) => bar.update(Math.round(fraction * whole), { note: oneLine(note) }),
    end: () => bar.stop(),
  };
}

function plainLines(stream: NodeJS.WriteStream): ProgressBar {
  let last = "";
  return {
    show: ({ fraction, note }) => {
      const line = `${Math.round(fraction * whole)} %${note === undefined ? "" : ` ${oneLine(note)}`}`;
      if (line !== last) stream.write(`${line}\n`);
      last = line;
    },
    end: () => undefined,
  };
}

/** What comes from a handler must not move a terminal's cursor. */
function oneLine(note: string): string {
  return note.replace(/\p{Cc}+/gu, " ");
}
