namespace KvMesh.Protocol.Native;

/// <summary>Maxima of the native protocol, each with its reason. Both ends hold them against what comes over the wire.</summary>
public static class NativeLimits
{
    /// <summary>The only version so far.</summary>
    public const byte Version = 1;

    /// <summary>Longest head: 4,096 hashes, their lengths and a scope take 145 KiB, lease grants for them 160 KiB.</summary>
    public const int MaxHeadBytes = 256 * 1024;

    /// <summary>Longest payload that a receiver reads past in order to refuse it politely; a longer one ends the connection.</summary>
    public const long MaxPayloadBytes = 8L * Limits.MaxBlockBytes;

    /// <summary>Longest token of a hello.</summary>
    public const int MaxTokenBytes = 1024;

    /// <summary>Longest name that a client gives itself.</summary>
    public const int MaxClientNameBytes = 64;

    /// <summary>Longest text of a refusal.</summary>
    public const int MaxTextBytes = 512;

    /// <summary>Longest wait of one watch request, so that a watcher that is gone holds its thread no longer than this.</summary>
    public const int MaxWatchWaitMilliseconds = 10_000;

    /// <summary>Most events in one answer to a watch.</summary>
    public const int MaxWatchEvents = 512;

    /// <summary>Largest staging file of one connection.</summary>
    public const long MaxStagingBytes = 1L << 30;

    /// <summary>Bytes received in one piece while a checksum is taken: they are still in the second-level cache then.</summary>
    public const int PieceBytes = 256 * 1024;

    /// <summary>Bytes of the CRC-32C that follows each head.</summary>
    public const int HeadChecksumBytes = sizeof(uint);
}
