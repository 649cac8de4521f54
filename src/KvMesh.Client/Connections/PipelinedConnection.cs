using KvMesh.Client.Operations;
using KvMesh.Client.Progressive;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>
/// A connection that many callers share: requests go out back to back and one thread takes the answers, which come in the same order.
/// A small request is sent by its caller when nobody else is sending; anything else by the writer's thread. Both threads end with the
/// connection.
/// </summary>
internal sealed class PipelinedConnection : NodeConnection
{
    /// <summary>Requests on their way at most; further callers wait for their turn.</summary>
    private const int MaxOutstanding = 256;

    /// <summary>Small requests under way that certainly fit into the buffers of the socket, so that no caller blocks in a send.</summary>
    private const int MaxSentByCallers = 16;

    private readonly object _gate = new();
    private readonly SemaphoreSlim _slots = new(MaxOutstanding);
    private readonly Queue<Operation> _toSend = new();
    private readonly Queue<Operation> _toReceive = new();
    private readonly Task _reader;
    private readonly Task _writer;
    private bool _isSending;
    private bool _isLost;

    public PipelinedConnection(GreetedSocket greeted, TimeProvider time, TimeSpan requestTimeout)
        : base(greeted, time, requestTimeout)
    {
        _reader = Task.Factory.StartNew(ReadAll, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        _writer = Task.Factory.StartNew(WriteAll, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public override bool IsAlive => !Volatile.Read(ref _isLost);

    public override async ValueTask ExecuteAsync(Operation operation, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken).ConfigureAwait(false);
        var completion = operation.Start(cancellationToken);
        Submit(operation);
        using var cancellation = cancellationToken.UnsafeRegister(static waiting => ((Operation)waiting!).Cancel(), operation);
        await completion.ConfigureAwait(false);
    }

    public override bool TryBegin(Operation operation, CancellationToken cancellationToken)
    {
        if (!_slots.Wait(0, CancellationToken.None))
        {
            return false;
        }

        operation.Start(cancellationToken);
        Submit(operation);
        return true;
    }

    public override async ValueTask FinishAsync(Operation operation, CancellationToken cancellationToken)
    {
        using var cancellation = cancellationToken.UnsafeRegister(static waiting => ((Operation)waiting!).Cancel(), operation);
        await operation.Completion.ConfigureAwait(false);
    }

    /// <summary>The reader's thread gives back what the answer brings, unless it was here before.</summary>
    public override void Abandon(LeaseOperation operation)
    {
        operation.Cancel();
        if (!operation.IsAbandoned)
        {
            GiveBack(operation.Grants);
        }
    }

    public override void Post(Operation operation)
    {
        // Without a free slot the notice is dropped: the node has a time limit for whatever it would have ended.
        if (_slots.Wait(0, CancellationToken.None))
        {
            operation.Reset();
            Submit(operation);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        Fail();
        await Task.WhenAll(_reader, _writer).ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    protected override void SendReturned(bool mayWait)
    {
        if (!Returned.IsEmpty)
        {
            Post(new ReleaseOperation());
        }
    }

    private void Submit(Operation operation)
    {
        bool sendsHere;
        lock (_gate)
        {
            if (_isLost)
            {
                Finish(operation, OperationOutcome.Lost);
                return;
            }

            operation.RequestId = NextRequestId();
            operation.QueuedAt = Time.GetTimestamp();
            _toSend.Enqueue(operation);
            sendsHere = !_isSending && operation.IsSmall && _toReceive.Count < MaxSentByCallers;
            if (sendsHere)
            {
                _isSending = true;
            }
            else if (!_isSending)
            {
                Monitor.PulseAll(_gate);
            }
        }

        if (sendsHere)
        {
            SendQueued(onlySmall: true);
        }
    }

    private void WriteAll()
    {
        while (true)
        {
            lock (_gate)
            {
                while (!_isLost && (_isSending || _toSend.Count == 0))
                {
                    Monitor.Wait(_gate);
                }

                if (_isLost)
                {
                    return;
                }

                _isSending = true;
            }

            SendQueued(onlySmall: false);
        }
    }

    /// <summary>Sends what is queued. The caller has made itself the sender; the role is given up at the end.</summary>
    private void SendQueued(bool onlySmall)
    {
        try
        {
            while (TryTakeNext(onlySmall, out var operation))
            {
                if (operation is not null)
                {
                    Send(operation);
                }
            }
        }
        catch (ChannelException)
        {
            Fail();
        }
    }

    /// <summary>Takes the next request and queues it for its answer. A request whose caller has left is dropped: null.</summary>
    private bool TryTakeNext(bool onlySmall, out Operation? operation)
    {
        lock (_gate)
        {
            operation = null;
            if (_isLost || _toSend.Count == 0 || (onlySmall && !_toSend.Peek().IsSmall))
            {
                _isSending = false;
                Monitor.PulseAll(_gate);
                return false;
            }

            operation = _toSend.Dequeue();
            if (!operation.TryUse())
            {
                _slots.Release();
                operation = null;
            }
            else if (operation.WantsReply)
            {
                _toReceive.Enqueue(operation);
            }

            return true;
        }
    }

    private void Send(Operation operation)
    {
        try
        {
            Write(operation);
            operation.SendPayload(Writer, Socket);
        }
        finally
        {
            operation.EndUse();
        }

        if (!operation.WantsReply)
        {
            Finish(operation, OperationOutcome.Done);
        }
    }

    private void ReadAll()
    {
        try
        {
            while (true)
            {
                var arrival = Receiver.Next(Socket, out var header);
                if (arrival == FrameArrival.Idle)
                {
                    ThrowIfOverdue();
                    continue;
                }

                if (arrival != FrameArrival.Frame)
                {
                    throw Lost(arrival, Receiver.Fault);
                }

                Take(header);
            }
        }
        catch (ChannelException)
        {
            Fail();
        }
        catch (ObjectDisposedException)
        {
            Fail();
        }
    }

    private void Take(in FrameHeader header)
    {
        Operation? operation;
        lock (_gate)
        {
            _toReceive.TryPeek(out operation);
        }

        if (operation is null || operation.RequestId != header.RequestId || !header.IsResponse)
        {
            throw new ChannelException($"The node answered request {header.RequestId} when {operation?.RequestId} was due.");
        }

        if (operation.TakeFrame(header, new ResponseReader(Receiver, Socket)))
        {
            lock (_gate)
            {
                // Fail may have emptied the queue meanwhile.
                _toReceive.TryDequeue(out _);
            }

            Finish(operation, OperationOutcome.Done);
        }
    }

    private void ThrowIfOverdue()
    {
        lock (_gate)
        {
            if (_toReceive.TryPeek(out var oldest) && Time.GetElapsedTime(oldest.QueuedAt) > RequestTimeout)
            {
                throw new ChannelException($"The node did not answer within {RequestTimeout.TotalSeconds:0.###} s.");
            }
        }
    }

    private void Finish(Operation operation, OperationOutcome outcome)
    {
        Conclude(operation, outcome);
        _slots.Release();
        if (operation is SectionBeginOperation { IsAbandoned: true, Number: > 0 } begin)
        {
            // Nobody will write it: its room on the node need not wait until that notices.
            Post(new SectionAbandonOperation(begin.Number));
        }
    }

    /// <summary>Ends the connection: whoever waits learns that it is lost. Any thread, any number of times.</summary>
    private void Fail()
    {
        List<Operation> left;
        lock (_gate)
        {
            if (_isLost)
            {
                return;
            }

            _isLost = true;
            left = [.. _toReceive, .. _toSend];
            _toReceive.Clear();
            _toSend.Clear();
            Monitor.PulseAll(_gate);
        }

        Socket.Shutdown();
        foreach (var operation in left)
        {
            Finish(operation, OperationOutcome.Lost);
        }
    }
}
