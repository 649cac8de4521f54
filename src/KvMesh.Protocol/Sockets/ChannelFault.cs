namespace KvMesh.Protocol.Sockets;

/// <summary>Why a channel ended.</summary>
public enum ChannelFault
{
    /// <summary>The connection is gone: reset, refused, timed out by the kernel, or shut down on this side.</summary>
    Lost,

    /// <summary>The peer is there but made no progress for the stall limit.</summary>
    Stalled,
}
