namespace KvMesh.Gateway.Sockets;

/// <summary>A session that another process can go on with. Sessions that are not are closed when the node hands over.</summary>
public interface IResumableSession : IConnectionSession
{
    /// <summary>
    /// What the next session needs to go on, at most <see cref="FrozenConnection.MaxStateBytes"/>. Called once, after
    /// <see cref="SessionOutcome.Idle"/>, and followed by Dispose. It crosses a process boundary: begin it with a version.
    /// </summary>
    byte[] SaveState();
}

/// <summary>Makes sessions from what <see cref="IResumableSession.SaveState"/> returned.</summary>
public interface IResumableSessionFactory : ISessionFactory
{
    /// <summary>Continues a connection. Throws <see cref="InvalidDataException"/> when the state is not understood; the connection is then closed.</summary>
    IConnectionSession Resume(ConnectionInfo connection, ReadOnlySpan<byte> state);
}
