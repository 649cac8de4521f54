using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>Small steps that several socket types share. Callers hold the descriptor for the length of the call.</summary>
internal static unsafe class SocketCalls
{
    /// <summary>Waits until something can be received, the end of the stream included; false after <paramref name="milliseconds"/>.</summary>
    public static bool WaitReadable(int descriptor, int milliseconds)
    {
        if (milliseconds == 0)
        {
            return false;
        }

        var entry = new Libc.PollEntry { Descriptor = descriptor, Wanted = Libc.PollIn };
        int ready;
        do
        {
            // After a signal the window starts again: signals are rare and the window is short.
            ready = Libc.Poll(&entry, 1, milliseconds);
        }
        while (ready < 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted);

        return ready > 0;
    }

    /// <summary>Drops the first <paramref name="bytes"/> of a gather list; the parts together hold at least that many.</summary>
    public static void Advance(Libc.IoVector* parts, nuint bytes)
    {
        while (bytes > 0)
        {
            var step = Math.Min(bytes, parts->Bytes);
            parts->Data = (byte*)parts->Data + step;
            parts->Bytes -= step;
            bytes -= step;
            parts++;
        }
    }
}
