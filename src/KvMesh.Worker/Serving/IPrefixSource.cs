namespace KvMesh.Worker.Serving;

/// <summary>Brings blocks of a prompt from elsewhere into the pages of a sequence.</summary>
internal interface IPrefixSource
{
    /// <summary>Begins to fetch what is missing; never waits.</summary>
    /// <param name="pages">The sequence, whose first blocks are there.</param>
    /// <param name="wantedBlocks">Full blocks that would be used, those that are there included.</param>
    /// <param name="mayDelegate">Whether another worker may be asked to compute them.</param>
    /// <param name="outlook">What this worker could compute meanwhile.</param>
    /// <param name="changed">Called, from any thread, when anything of the fetch changed.</param>
    IPrefixFetch Begin(SequencePages pages, int wantedBlocks, bool mayDelegate, PrefillOutlook outlook, Action changed);
}

/// <summary>
/// What is being fetched. It writes into blocks from <see cref="ReadyBlocks"/> on until it is over, and never into those before nor into those that it leaves to a
/// pass (<see cref="LeftToCompute"/>). Whatever goes wrong elsewhere only ends it sooner. Disposed when it is over.
/// </summary>
internal interface IPrefixFetch : IDisposable
{
    /// <summary>Nothing more comes, and nobody touches the pages any more.</summary>
    bool IsOver { get; }

    /// <summary>Blocks that are there whole, those that were there before included.</summary>
    int ReadyBlocks { get; }

    /// <summary>Blocks from the first on that the mesh had when it was asked.</summary>
    int MeshBlocks { get; }

    /// <summary>Whether all wanted blocks are on their way and their first layer is there: a pass may begin, and waits for each layer.</summary>
    bool IsStreaming { get; }

    /// <summary>
    /// Blocks that are computed while those behind them come, because that is sooner: everything before the first of them is there. None: there is nothing to
    /// compute now.
    /// </summary>
    (int First, int Count) LeftToCompute { get; }

    /// <summary>A pass has computed blocks that were left to it.</summary>
    void NoteComputed(int first, int count);

    /// <summary>Waits until a layer of all wanted blocks is there. False: it does not come, or nobody wants it any more.</summary>
    /// <param name="isUnwanted">Looked at now and then.</param>
    bool WaitForLayer(int layer, Func<bool> isUnwanted);

    /// <summary>Asks it to end; it is over when <see cref="IsOver"/> says so.</summary>
    void Cancel();
}

/// <summary>Takes full blocks of sequences, layer by layer as they are computed. Never waits and never throws.</summary>
internal interface IBlockSink
{
    /// <summary>Begins with a sequence; null while nobody takes blocks.</summary>
    IChainSink? Begin(TokenChain chain);
}

/// <summary>Takes the blocks of one sequence.</summary>
internal interface IChainSink
{
    /// <summary>A layer of consecutive blocks is final. Layers of a block come in order; the bytes are copied before the call returns.</summary>
    void Publish(SequencePages pages, int firstBlock, int count, int layer);

    /// <summary>Blocks whose last layer was not published will begin anew, or never be finished.</summary>
    void Abandon();
}
