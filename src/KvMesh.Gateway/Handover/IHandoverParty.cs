using KvMesh.Gateway.Sockets;

namespace KvMesh.Gateway.Handover;

/// <summary>
/// The node that may be replaced, as the handover sees it. The calls come one after the other; a handover that has begun is
/// not cancelled but ends in Resume or Leave.
/// </summary>
public interface IHandoverParty
{
    /// <summary>
    /// Stops service for a successor: freezes the connections and closes the engine and whatever else the successor will open,
    /// leaving the arena in place. When it throws, it has gone back to service itself.
    /// </summary>
    Task<FrozenConnections> ReleaseAsync();

    /// <summary>
    /// The successor gave up: opens the engine again, adopts the connections and serves. The successor may still hold the data
    /// directory for a moment, so an engine that finds it locked is tried again for a while.
    /// </summary>
    Task ResumeAsync(FrozenConnections frozen);

    /// <summary>The successor serves, as process <paramref name="successor"/>; this one has nothing left to do but end.</summary>
    void Leave(int successor);
}
