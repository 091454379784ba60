/** What Cedar knows of a tool, a prompt, a resource and an operation, so that one rule can mean them all. */
const SHOWN = `{
  gateway: String,
  server: String,
  name: String,
  tags: Set<String>,
  readOnly: Bool,
  destructive: Bool,
}`

/**
 * What policies may speak of, in Cedar's own schema language; `policy check` holds every policy against it. Claims of
 * the identity provider are tags of the user (`principal.getTag("department").contains("sales")`), arguments of a call
 * are tags of `context.args` under their paths (`context.args.getTag("issue.title") like "*draft*"`). `modules`: those
 * of the admin API, each of which is an action.
 */
export function cedarSchema(modules: readonly string[]): string {
  return [USE, ADMIN, ...modules.map(adminAction)].join('\n')
}

const USE = `entity Group, Role, Client, Key;
entity Gateway, Server, Tag, Namespace;
entity Arguments tags String;

entity User in [Group, Role, Client, Key] { userId: String, kind: String } tags Set<String>;
entity SystemAccount in [Group, Role, Client, Key] { userId: String, kind: String } tags Set<String>;

entity Tool in [Gateway, Server, Tag, Namespace] ${SHOWN};
entity Prompt in [Gateway, Server, Tag, Namespace] ${SHOWN};
entity Resource in [Gateway, Server, Tag, Namespace] ${SHOWN};

type Circumstances = {
  now: datetime,
  face: String,
  client: String,
  approved: Bool,
  address?: ipaddr,
  scopes?: Set<String>,
  args: Arguments,
};

action use;
action call in [use] appliesTo { principal: [User, SystemAccount], resource: [Tool], context: Circumstances };
action prompt in [use] appliesTo { principal: [User, SystemAccount], resource: [Prompt], context: Circumstances };
action read in [use] appliesTo { principal: [User, SystemAccount], resource: [Resource], context: Circumstances };
action complete in [use] appliesTo {
  principal: [User, SystemAccount],
  resource: [Prompt, Resource],
  context: Circumstances
};
action list in [use] appliesTo {
  principal: [User, SystemAccount],
  resource: [Tool, Prompt, Resource],
  context: Circumstances
};
// Running an action of the company's own, by its name. Nothing asks for it yet.
action execute in [use] appliesTo { principal: [User, SystemAccount], resource: [Tool], context: Circumstances };
`

/** Circumstances have everything that those of a call have, so that a rule over all actions can be read for these as well. */
const ADMIN = `entity Platform;
entity Operation in [Platform, Gateway, Server, Tag, Namespace] ${SHOWN};

type AdminCircumstances = {
  now: datetime,
  face: String,
  client: String,
  approved: Bool,
  address?: ipaddr,
  scopes?: Set<String>,
  args: Arguments,
  operation: String,
  writes: Bool,
};

// Operations of the admin API, by module. A permit lets somebody in only if its scope names these actions.
action admin;`

function adminAction(module: string): string {
  return `action "admin:${module}" in [admin] appliesTo {
  principal: [User, SystemAccount],
  resource: [Operation],
  context: AdminCircumstances
};`
}
