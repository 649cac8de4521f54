using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Native;

/// <summary>
/// Requests that were handed to the control plane, in the order in which they came. The session goes on with the requests behind them
/// and writes the answers when it has nothing else at hand: it then waits on its own thread, which belongs to this connection, while the work
/// goes on elsewhere. Work has a deadline of its own, so no wait is longer.
/// </summary>
internal sealed class OwedAnswers
{
    /// <summary>Requests under way on one connection; before another is begun, the answers are written.</summary>
    private const int MaxOwed = 64;

    // Monitor, not Lock: the session waits on it. Guards the answers in the queue.
    private readonly object _gate = new();
    private readonly Queue<Owed> _queue = new();

    /// <summary>Begins work whose answer is owed. Work that is done already is answered as any other request.</summary>
    public void Begin(FrameWriter writer, IByteChannel channel, in FrameHeader request, ValueTask<ControlAnswer> work)
    {
        if (work.IsCompletedSuccessfully && _queue.Count == 0)
        {
            Write(writer, channel, request, work.Result);
            return;
        }

        if (_queue.Count == MaxOwed)
        {
            Settle(writer, channel);
        }

        var owed = new Owed(request);
        _queue.Enqueue(owed);
        _ = CompleteAsync(owed, work);
    }

    /// <summary>Writes every answer that is owed, in order.</summary>
    /// <exception cref="InvalidOperationException">The work failed by an error of ours.</exception>
    public void Settle(FrameWriter writer, IByteChannel channel)
    {
        while (_queue.TryDequeue(out var owed))
        {
            lock (_gate)
            {
                while (owed.Answer is null && owed.Failure is null)
                {
                    Monitor.Wait(_gate);
                }
            }

            if (owed.Failure is not null)
            {
                throw new InvalidOperationException($"{owed.Request.Verb} failed.", owed.Failure);
            }

            Write(writer, channel, owed.Request, owed.Answer!);
        }
    }

    private async Task CompleteAsync(Owed owed, ValueTask<ControlAnswer> work)
    {
        ControlAnswer? answer = null;
        Exception? failure = null;
        try
        {
            answer = await work.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            // It is thrown again on the session's thread, whose catch ladder ends the connection and logs it.
            failure = exception;
        }

        lock (_gate)
        {
            (owed.Answer, owed.Failure) = (answer, failure);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>A payload leaves with everything that is written by then, since frames behind it must not come first.</summary>
    private static void Write(FrameWriter writer, IByteChannel channel, in FrameHeader request, ControlAnswer answer)
    {
        if (request.WantsReply)
        {
            writer.Begin(request.Verb, request.RequestId, FrameFlags.Response);
            answer.WriteHead(writer);
            writer.End(answer.Status, answer.Payload.Length);
            if (!answer.Payload.IsEmpty)
            {
                writer.Flush(channel, answer.Payload.Span);
            }
        }
    }

    private sealed class Owed(FrameHeader request)
    {
        public FrameHeader Request { get; } = request;

        public ControlAnswer? Answer { get; set; }

        public Exception? Failure { get; set; }
    }
}

/// <summary>What the control plane answers to a request.</summary>
internal sealed record ControlAnswer(NativeStatus Status, Action<FrameWriter> WriteHead)
{
    /// <summary>What follows the head.</summary>
    public ReadOnlyMemory<byte> Payload { get; init; }
}
