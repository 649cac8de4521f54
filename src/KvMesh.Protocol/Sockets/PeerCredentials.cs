using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>The process at the other end of a Unix socket (<c>struct ucred</c>).</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly struct PeerCredentials
{
    public readonly int ProcessId;
    public readonly uint UserId;
    public readonly uint GroupId;

    /// <summary>Whether that process runs as the user of this one.</summary>
    public bool IsSameUser => UserId == Libc.EffectiveUser();
}
