/**
 * The server's own functions, as clients call them: `select pglite_devdb.set_time('2030-01-01')`.
 *
 * Owns: what each does with its argument, and answers. Does not own: who may call them and how (`../transport/calls/`), what is done
 * (`server-clock.ts`, `server-states.ts`, `directory-states.ts`, `database-branches.ts`).
 */
import { branchDatabase } from "../engine/branches.ts";
import type { ClockState } from "../engine/clock.ts";
import type { ServedStates } from "../engine/states.ts";
import type { RunOwnFunction } from "../transport/calls/own-calls.ts";
import type { BranchResets } from "./branch-resets.ts";
import type { DatabaseBranches } from "./database-branches.ts";
import type { ServerClock } from "./server-clock.ts";

/** What they are functions of. */
interface Server {
  readonly clock: ServerClock;
  readonly branches: DatabaseBranches;
  readonly branchResets: BranchResets;
  readonly states: ServedStates;
}

/** Those of a server. */
export function serverFunctions({ clock, branches, branchResets, states }: Server): RunOwnFunction {
  return async (name, argument, { client, database, signal }) => {
    if (name === "set_time") await clock.change({ do: "set", to: Number(argument) }, client);
    else if (name === "advance_time") await clock.change({ do: "advance", by: Number(argument) }, client);
    else if (name === "discrete_time") await clock.change({ do: "discrete", on: argument === "t" });
    else if (name === "reset_time") await clock.change({ do: "reset" }, client);
    else if (name === "show_time") return shown(await clock.change({ do: "show" }));
    else if (name === "branch") return branches.create(database, argument);
    else if (name === "drop_branch") await branches.drop(branchDatabase(database, argument));
    else if (name === "reset_branch") await branchResets.reset(database, argument);
    else if (name === "reset") await states.reset(database);
    else if (name === "snapshot") await states.snapshot(database, argument, signal);
    else if (name === "snapshots") return (await states.names(database)).join("\n");
    else if (name === "drop_snapshot") await states.drop(database, argument);
    else await states.restore(database, argument);
    return "";
  };
}

function shown({ now, ahead, isDiscrete }: ClockState): string {
  const seconds = Math.abs(ahead) / 1000;
  const shift = ahead === 0 ? "the real time" : `${seconds} s ${ahead > 0 ? "ahead of" : "behind"} the real time`;
  return `${new Date(now).toISOString()}, ${shift}${isDiscrete ? ", discrete" : ""}`;
}
