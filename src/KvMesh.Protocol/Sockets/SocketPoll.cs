using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>Waits for one of a few sockets, for a thread that reads from several peers at once.</summary>
public static unsafe class SocketPoll
{
    /// <summary>Most sockets of one wait.</summary>
    public const int MaxSockets = 16;

    /// <summary>
    /// Waits until one of the sockets can be read, its end included, or one that is being connected is, or cannot be. The caller keeps them open. False when none can be within
    /// <paramref name="timeout"/>, which is rounded up to milliseconds.
    /// </summary>
    public static bool Wait(ReadOnlySpan<StreamSocket> sockets, TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sockets.Length, MaxSockets, nameof(sockets));
        var entries = stackalloc Libc.PollEntry[MaxSockets];
        for (var index = 0; index < sockets.Length; index++)
        {
            entries[index] = new Libc.PollEntry { Descriptor = sockets[index].Hold(), Wanted = sockets[index].IsConnecting ? Libc.PollOut : Libc.PollIn };
        }

        try
        {
            var startedAt = Stopwatch.GetTimestamp();
            int ready;
            do
            {
                var rest = timeout - Stopwatch.GetElapsedTime(startedAt);
                ready = Libc.Poll(entries, (nuint)sockets.Length, (int)Math.Clamp(Math.Ceiling(rest.TotalMilliseconds), 0, int.MaxValue));
            }
            while (ready < 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted);

            return ready > 0;
        }
        finally
        {
            foreach (var socket in sockets)
            {
                socket.Release();
            }
        }
    }
}
