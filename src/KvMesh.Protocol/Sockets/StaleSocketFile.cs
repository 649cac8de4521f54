namespace KvMesh.Protocol.Sockets;

/// <summary>The file that a Unix socket leaves behind when its process dies.</summary>
internal static unsafe class StaleSocketFile
{
    private const int StatxBytes = 256;
    private const int StatxModeOffset = 28;
    private const int TypeMask = 0xF000;
    private const int TypeSocket = 0xC000;

    /// <summary>Removes it when nobody answers on it. Anything that is no socket stays, and bind reports it as in use.</summary>
    public static void RemoveIfNobodyAnswers(string path, StreamSocketOptions options)
    {
        if (!IsSocket(path))
        {
            return;
        }

        try
        {
            StreamSocket.Connect(StreamEndpoint.Unix(path), options with { ConnectTimeout = TimeSpan.FromSeconds(1), StallLimit = TimeSpan.FromSeconds(1) }).Dispose();
        }
        catch (ChannelException refusal) when (refusal.IsRefusal)
        {
            File.Delete(path);
        }
        catch (ChannelException)
        {
            // Somebody is there and slow, or we may not ask: bind decides.
        }
    }

    private static bool IsSocket(string path)
    {
        var result = stackalloc byte[StatxBytes];
        return Libc.Statx(Libc.PathAtCurrent, path, Libc.PathNoFollow, Libc.StatxType, result) == 0
            && (*(ushort*)(result + StatxModeOffset) & TypeMask) == TypeSocket;
    }
}
