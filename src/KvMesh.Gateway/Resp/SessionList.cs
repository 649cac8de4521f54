using System.Collections.Concurrent;

namespace KvMesh.Gateway.Resp;

/// <summary>The connections of this door, for CLIENT LIST and CLIENT KILL. A caller sees its own tenant's, an administrator all.</summary>
internal sealed class SessionList
{
    private readonly ConcurrentDictionary<long, RespSession> _sessions = new();

    public int Count => _sessions.Count;

    public void Add(RespSession session) => _sessions[session.Connection.Id] = session;

    public void Remove(RespSession session) => _sessions.TryRemove(session.Connection.Id, out _);

    public IEnumerable<RespSession> VisibleTo(RespSession viewer) =>
        _sessions.Values
            .Where(session => viewer.IsAdmin || session.Caller?.Tenant == viewer.Caller?.Tenant)
            .OrderBy(session => session.Connection.Id);
}
