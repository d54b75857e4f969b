// Which of the flags that this process was started with its workers get.

/** A debugger has its port already; code that was given as an argument is not to run again. */
export function inheritedFlags(flags: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i] ?? "";
    if (/^(-e|--eval|-p|--print|-pe)$/.test(flag)) i++;
    else if (!/^--(inspect|input-type|eval=|print=)/.test(flag)) kept.push(flag);
  }
  return kept;
}
