// gitcoord for opencode: put here by `gitcoord hooks install --agents opencode`, taken out by `gitcoord hooks uninstall`.
// Asks `gitcoord hook opencode ...` before and after every tool; a refusal is thrown, which is how opencode stops one.
import { spawn } from "node:child_process"

const flags = [__FLAGS__]

const ask = (event, fields) =>
  new Promise((resolve) => {
    const child = spawn("gitcoord", ["hook", "opencode", event, ...flags], { stdio: ["pipe", "pipe", "inherit"] })
    let out = ""
    child.stdout.on("data", (data) => (out += data))
    child.on("error", () => {
      console.error(`gitcoord could not be started: ${event} is NOT guarded`)
      resolve({})
    })
    child.on("close", () => {
      try {
        resolve(out.trim() ? JSON.parse(out) : {})
      } catch {
        console.error(`gitcoord gave no answer: ${event} is NOT guarded`)
        resolve({})
      }
    })
    child.stdin.on("error", () => {})
    child.stdin.end(JSON.stringify(fields))
  })

export const Gitcoord = async ({ directory, worktree }) => ({
  "tool.execute.before": async (input, output) => {
    const fields = { sessionID: input.sessionID, tool: input.tool, args: output.args, directory, worktree }
    const said = await ask("tool.execute.before", fields)
    if (said.deny) throw new Error(said.deny)
  },
  "tool.execute.after": async (input, output) => {
    const fields = { sessionID: input.sessionID, tool: input.tool, args: input.args ?? {}, directory, worktree }
    const said = await ask("tool.execute.after", fields)
    if (said.context && typeof output.output === "string") output.output += `\n${said.context}`
  },
  "experimental.session.compacting": async (input, output) => {
    const fields = { sessionID: input.sessionID, directory, worktree }
    await ask("experimental.session.compacting", fields)
    const said = await ask("session.created", fields)
    if (said.context) output.context.push(said.context)
  },
  event: async ({ event }) => {
    const session = event.properties?.sessionID ?? event.properties?.info?.id
    if (event.type === "session.idle" || event.type === "session.deleted")
      await ask(event.type, { sessionID: session, directory, worktree })
  },
})
