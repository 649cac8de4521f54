namespace KvMesh.Protocol.Resp;

/// <summary>Maxima of the RESP codec. Where Redis 7.0 has the same maximum the value and the refusal are Redis'.</summary>
public static class RespLimits
{
    /// <summary>Longest inline command and longest header line without its end, as Redis' PROTO_INLINE_MAX_SIZE.</summary>
    public const int MaxLineBytes = 64 * 1024;

    /// <summary>Most arguments of one request: Redis' limit before 7.0, and enough for every client that is not an attack.</summary>
    public const int MaxArguments = 1024 * 1024;

    /// <summary>Longest bulk that is worth reading at all, Redis' default proto-max-bulk-len. Longer ones end the connection.</summary>
    public const int MaxBulkBytes = 512 * 1024 * 1024;

    /// <summary>Most arguments before the client has authenticated, as Redis.</summary>
    public const int MaxUnauthenticatedArguments = 10;

    /// <summary>Longest bulk before the client has authenticated, as Redis.</summary>
    public const int MaxUnauthenticatedBulkBytes = 16 * 1024;

    /// <summary>Bulks above this are offered to the caller instead of being buffered; 16 KiB is where a copy begins to cost more than a call.</summary>
    public const int BufferedBulkBytes = 16 * 1024;
}
