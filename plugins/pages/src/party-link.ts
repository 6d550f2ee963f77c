// Addresses of these pages that carry the code of a party.
const PARAMETER = "party";

export function partyLink(code: string): string {
  const link = new URL(location.href);
  link.search = new URLSearchParams({ [PARAMETER]: code }).toString();
  link.hash = "";
  return link.href;
}

/** The code that this page was opened with, once: a page that is loaded again does not ask again. */
export function takePartyCode(): string {
  const here = new URL(location.href);
  const code = here.searchParams.get(PARAMETER) ?? "";
  if (here.searchParams.has(PARAMETER)) {
    here.searchParams.delete(PARAMETER);
    history.replaceState(history.state, "", here);
  }
  return code;
}
