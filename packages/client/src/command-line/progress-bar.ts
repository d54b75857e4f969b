// How far a task is, on a terminal as a bar, and anywhere else as a line for each step.
import type { TaskProgress } from "../events/task-event.ts";
import { oneLine } from "./output.ts";

export interface ProgressBar {
  show(progress: TaskProgress): void;
  /** Gives the terminal back as it was. More than once is allowed. */
  end(): void;
}

const whole = 100;

export async function progressBar(stream: NodeJS.WriteStream): Promise<ProgressBar> {
  if (stream.isTTY !== true) return plainLines(stream);
  const { default: library } = await import("cli-progress");
  const format = "{bar} {percentage} % {note}";
  const bar = new library.SingleBar({ stream, format, hideCursor: true }, library.Presets.shades_classic);
  bar.start(whole, 0, { note: "" });
  let isOver = false;
  return {
    show: ({ fraction, note = "" }) => {
      if (!isOver) bar.update(Math.round(fraction * whole), { note: oneLine(note) });
    },
    end: () => {
      if (!isOver) bar.stop();
      isOver = true;
    },
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
