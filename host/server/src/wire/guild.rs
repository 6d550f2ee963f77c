//! Guilds, in the frames of the client protocol.

use scenehost_core::db::Request as DbRequest;
use scenehost_core::guild::{Answer, Entry, News, Request, Role, Summary, View, What, Which};
use scenehost_core::{GuildId, Refusal, UserId};
use scenehost_protocol::v1::{self, GuildEntry, GuildRole, req_guild::Ask, server_frame::Body, syn_guild};

use super::user_id;

pub fn request(asked: v1::ReqGuild) -> Result<DbRequest, Refusal> {
    let Some(ask) = asked.ask else {
        return Err(Refusal::Invalid("req_guild needs what is asked for, such as show or mine".to_owned()));
    };
    let request = match ask {
        Ask::Create(v1::req_guild::Create { name, tag, about, entry }) => {
            let entry = known_entry(entry)?.unwrap_or(Entry::ByRequest);
            Request::Create { name, tag, about, entry }
        }
        Ask::Show(show) => Request::Show(match (show.guild_id.as_str(), show.name) {
            ("", name) if name.is_empty() => Which::Own,
            ("", name) => Which::Name(name),
            (id, _) => Which::Id(guild_id(id)?),
        }),
        Ask::Mine(_) => Request::Mine,
        Ask::Join(id) => Request::Join(guild_id(&id)?),
        Ask::AskToJoin(id) => Request::Ask(guild_id(&id)?),
        Ask::Withdraw(id) => Request::Withdraw(guild_id(&id)?),
        Ask::Accept(user) => Request::Accept(user_id(&user)?),
        Ask::Decline(user) => Request::Decline(user_id(&user)?),
        Ask::Invite(user) => Request::Invite(user_id(&user)?),
        Ask::AcceptInvite(id) => Request::AcceptInvite(guild_id(&id)?),
        Ask::DeclineInvite(id) => Request::DeclineInvite(guild_id(&id)?),
        Ask::Leave(_) => Request::Leave,
        Ask::Kick(user) => Request::Kick(user_id(&user)?),
        Ask::SetRole(set) => Request::SetRole(user_id(&set.user_id)?, known_role(set.role())?),
        Ask::HandOver(user) => Request::HandOver(user_id(&user)?),
        Ask::Change(v1::req_guild::Change { about, entry, limit }) => {
            let limit = limit.map(|limit| limit.try_into().unwrap_or(usize::MAX));
            Request::Change { about, entry: known_entry(entry)?, limit }
        }
        Ask::Dissolve(_) => Request::Dissolve,
        Ask::ReadData(_) => Request::ReadData,
        Ask::WriteData(v1::req_guild::WriteData { key, value, if_version }) => {
            Request::WriteData { key, value: value.map(Into::into), if_version }
        }
    };
    Ok(DbRequest::Guild(request))
}

fn guild_id(text: &str) -> Result<GuildId, Refusal> {
    text.parse().map_err(|error| Refusal::Invalid(format!("no guild's id: {error}")))
}

/// `None`: not said.
fn known_entry(entry: i32) -> Result<Option<Entry>, Refusal> {
    match GuildEntry::try_from(entry) {
        Ok(GuildEntry::Unspecified) => Ok(None),
        Ok(GuildEntry::Open) => Ok(Some(Entry::Open)),
        Ok(GuildEntry::ByRequest) => Ok(Some(Entry::ByRequest)),
        Err(_) => Err(Refusal::Invalid("entry is GUILD_ENTRY_OPEN or GUILD_ENTRY_BY_REQUEST".to_owned())),
    }
}

fn known_role(role: GuildRole) -> Result<Role, Refusal> {
    match role {
        GuildRole::Member => Ok(Role::Member),
        GuildRole::Officer => Ok(Role::Officer),
        GuildRole::Leader => Ok(Role::Leader),
        GuildRole::Unspecified => Err(Refusal::Invalid("role is GUILD_ROLE_MEMBER or GUILD_ROLE_OFFICER".to_owned())),
    }
}

fn role(role: Role) -> GuildRole {
    match role {
        Role::Member => GuildRole::Member,
        Role::Officer => GuildRole::Officer,
        Role::Leader => GuildRole::Leader,
    }
}

pub fn answer(answer: &Answer) -> Body {
    Body::ResGuild(match answer {
        Answer::Guild(view) => v1::ResGuild { guild: Some(guild(view)), ..Default::default() },
        Answer::Mine { guild: own, requests, invites } => v1::ResGuild {
            guild: own.as_ref().map(|view| guild(view)),
            requests: requests.iter().map(summary).collect(),
            invites: invites.iter().map(summary).collect(),
            ..Default::default()
        },
        Answer::Data(data) => {
            let datum = |(key, datum): &(String, scenehost_core::guild::Datum)| v1::GuildDatum {
                key: key.clone(),
                value: datum.value.clone().into(),
                version: datum.version,
            };
            v1::ResGuild { data: data.iter().map(datum).collect(), ..Default::default() }
        }
        Answer::Written(version) => v1::ResGuild { version: *version, ..Default::default() },
    })
}

fn guild(view: &View) -> v1::Guild {
    let member = |(user, name, member): &(UserId, String, scenehost_core::guild::Member)| v1::GuildMember {
        user_id: user.to_string(),
        name: name.clone(),
        role: role(member.role).into(),
        since_ms: member.since.0,
    };
    let candidate =
        |(user, name): &(UserId, String)| v1::GuildCandidate { user_id: user.to_string(), name: name.clone() };
    let entry = match view.entry {
        Entry::Open => GuildEntry::Open,
        Entry::ByRequest => GuildEntry::ByRequest,
    };
    v1::Guild {
        guild_id: view.id.to_string(),
        name: view.name.clone(),
        tag: view.tag.clone(),
        about: view.about.clone(),
        entry: entry.into(),
        limit: u32::try_from(view.limit).unwrap_or(u32::MAX),
        since_ms: view.since.0,
        version: view.version,
        members: view.members.iter().map(member).collect(),
        requests: view.requests.iter().map(candidate).collect(),
        invites: view.invites.iter().map(candidate).collect(),
    }
}

fn summary(summary: &Summary) -> v1::GuildSummary {
    v1::GuildSummary {
        guild_id: summary.id.to_string(),
        name: summary.name.clone(),
        tag: summary.tag.clone(),
        members: u32::try_from(summary.members).unwrap_or(u32::MAX),
    }
}

pub fn news(news: &News) -> Body {
    let what = match news.what {
        What::Joined => syn_guild::What::Joined,
        What::Left => syn_guild::What::Left,
        What::Kicked => syn_guild::What::Kicked,
        What::Role => syn_guild::What::Role,
        What::Changed => syn_guild::What::Changed,
        What::Dissolved => syn_guild::What::Dissolved,
        What::Asked => syn_guild::What::Asked,
        What::Declined => syn_guild::What::Declined,
        What::Invited => syn_guild::What::Invited,
        What::Uninvited => syn_guild::What::Uninvited,
        What::Data => syn_guild::What::Data,
    };
    Body::SynGuild(v1::SynGuild {
        guild_id: news.guild.to_string(),
        name: news.name.clone(),
        version: news.version,
        what: what.into(),
        user_id: news.about.to_string(),
        role: news.role.map_or(GuildRole::Unspecified, role).into(),
    })
}
