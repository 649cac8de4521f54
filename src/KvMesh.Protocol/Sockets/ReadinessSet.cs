using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>
/// Watches many idle sockets with one thread (epoll). A socket is armed for one report: after it was reported it stays
/// silent until it is armed again. Arm and Remove may come from any thread; one thread waits. The caller removes a socket
/// before it passes its descriptor to another process; closing the only descriptor removes it by itself.
/// </summary>
public sealed unsafe class ReadinessSet : IDisposable
{
    private const ulong WakeToken = ulong.MaxValue;
    private const int MaxReports = 256;
    private const uint Interest = Libc.EpollIn | Libc.EpollPeerClosed | Libc.EpollOneShot;

    // struct epoll_event is packed on x86-64 only.
    private static readonly int RecordBytes = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int TokenOffset = RecordBytes - sizeof(ulong);

    private readonly SocketHandle _epoll = new(Libc.CreateEpoll(Libc.EpollCloseOnExec));
    private readonly WakeEvent _wake = new();

    public ReadinessSet()
    {
        if (_epoll.IsInvalid)
        {
            throw new IOException($"Creating a readiness set failed: {Libc.LastErrorText()}.");
        }

        Control(Libc.EpollAdd, _wake.Descriptor, WakeToken, Libc.EpollIn);
    }

    /// <summary>Watches a socket until it is readable or its peer closes; <paramref name="token"/> is what Wait reports.</summary>
    public void Add(StreamSocket socket, long token) => Control(Libc.EpollAdd, socket, (ulong)token, Interest);

    /// <summary>Arms a socket of this set again.</summary>
    public void Rearm(StreamSocket socket, long token) => Control(Libc.EpollModify, socket, (ulong)token, Interest);

    public void Remove(StreamSocket socket) => Control(Libc.EpollDelete, socket, 0, 0);

    /// <summary>Waits for reports and stores their tokens; returns how many, 0 after <see cref="Wake"/>.</summary>
    public int Wait(Span<long> tokens)
    {
        var capacity = Math.Min(tokens.Length, MaxReports);
        var records = stackalloc byte[MaxReports * RecordBytes];
        int reported;
        while ((reported = Libc.WaitEpoll(_epoll.Descriptor, records, capacity, -1)) < 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted)
        {
        }

        var count = 0;
        for (var index = 0; index < reported; index++)
        {
            var token = *(ulong*)(records + (index * RecordBytes) + TokenOffset);
            if (token == WakeToken)
            {
                _wake.Clear();
            }
            else
            {
                tokens[count++] = (long)token;
            }
        }

        return count;
    }

    /// <summary>Ends the present or the next Wait.</summary>
    public void Wake() => _wake.Set();

    public void Dispose()
    {
        _epoll.Dispose();
        _wake.Dispose();
    }

    private void Control(int operation, StreamSocket socket, ulong token, uint interest)
    {
        var descriptor = socket.Hold();
        try
        {
            Control(operation, descriptor, token, interest);
        }
        finally
        {
            socket.Release();
        }
    }

    private void Control(int operation, int descriptor, ulong token, uint interest)
    {
        var record = stackalloc byte[RecordBytes];
        *(uint*)record = interest;
        *(ulong*)(record + TokenOffset) = token;
        if (Libc.ControlEpoll(_epoll.Descriptor, operation, descriptor, record) < 0)
        {
            throw new IOException($"Watching descriptor {descriptor} failed: {Libc.LastErrorText()}.");
        }
    }
}
