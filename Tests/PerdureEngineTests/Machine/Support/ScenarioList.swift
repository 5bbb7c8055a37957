import Perdure
import PerdureHistory
import PerdureStore

@testable import PerdureEngine

/// Every scenario once, for the tests that ask what they cover. A test of its own sees that none is missing.
enum ScenarioList {
    static func runAll() throws {
        try businessKey()
        try cancellation()
        try child()
        try fork()
        try note()
        try owner()
        try lost()
        try person()
        try reset()
        try repeatedReset()
        try run()
        try standstill()
        try step()
        try succession()
        try transaction()
        try undo()
    }

    private static func businessKey() throws {
        let scenarios = MachineBusinessKeyScenarios()
        try scenarios.`the intent takes the key and the outcome settles it`()
        try scenarios.`a step that fails for good frees its key`()
        try scenarios.`a free key is taken with its generation, which is part of the idempotency key, the undo's too`()
        try scenarios.`what another run did is adopted, and not undone`()
        try scenarios.`an outcome of another type is not adopted`()
        try scenarios.`an outcome that is being undone is adopted by nobody`()
        try scenarios.`what happened although it was given up is undone before anybody could adopt it`()
        try scenarios.`an undo that has not begun when its run is terminated leaves the outcome to others`()
        try scenarios.`a key held with another input is a failure`()
        for end in [BusinessKeySettlement.End.free, .happened(output: MachineDriver.done)] as [BusinessKeySettlement.End] {
            try scenarios.`a key held by another run is waited for`(end)
        }
        try scenarios.`two steps of one run that share a key act once`()
        try scenarios.`an approved step that waits for a key ends at once when it is given up, live as on replay`()
        try scenarios.`an approved step takes a key that has become free`()
        try scenarios.`an outcome that is adopted in the batch that gives the step up is not told twice`()
        try scenarios.`a fact that comes to nothing does not keep what the store says of the key out of the batch`()
        try scenarios.`of what the store has said of a key the last counts`()
        try scenarios.`a step that waits for a key and is given up is cancelled`()
        try scenarios.`an undo that a person gives up leaves the key with its outcome`()
    }

    private static func lost() throws {
        let scenarios = MachineLostScenarios()
        try scenarios.`an at-most-once step that is asked for after a loss is asked about, not sent`()
        try scenarios.`a probe finds out what became of a step that the lost part may have sent`()
        try scenarios.`a person says that nothing was lost, and the step is sent`()
        try scenarios.`an intent that was kept is in doubt after a loss`()
        try scenarios.`an attempt that failed before a loss may have been followed by another one`()
        try scenarios.`a dead letter that is tried again after a loss is asked about first`()
        try scenarios.`an idempotent step is sent again after a loss inside of its window`()
        try scenarios.`the window of a step that the lost part may have sent begins where the history was kept`()
        try scenarios.`an approval that was open before a loss is asked for anew once the step surely did not happen`()
        try scenarios.`an approval that was given before a loss is not used`()
        try scenarios.`an undo that is sent at most once is asked about after a loss`()
        try scenarios.`reads and transactions are made again after a loss`()
        try scenarios.`a step in doubt takes its business key after a loss`()
        try scenarios.`a child that is started after a loss knows of it`()
        try scenarios.`a run that is continued after a loss hands it on`()
        try scenarios.`a person who has looked ends the mark, and what is asked for afterwards is sent`()
        try scenarios.`a mark that is ended leaves in doubt what is`()
        try scenarios.`a run that is reset to before a mark that was ended has none`()
        try scenarios.`a word about an earlier loss ends no later mark`()
        try scenarios.`a word that was heeded in what is lost is not believed when it is read again, however late`()
        try scenarios.`what a person said to have happened is true after a loss as well`()
        try scenarios.`a word that is said between a loss and its mark is not believed`()
        try scenarios.`a word from before a loss is not believed after the mark was settled either`()
        try scenarios.`a person's retry that was heeded in what is lost opens no window anew`()
        try scenarios.`the verifier believes no word either that does not name the last mark`()
        try scenarios.`runs that are made after a loss that was settled begin above those of the lost part`()
        scenarios.`what a run begins with that was made after a loss is handed on by its epoch`()
        try scenarios.`nothing is settled of a run that has lost nothing`()
        try scenarios.`a run whose continuation is lost is continued as the same run, with the same keys`()
        try scenarios.`what is asked for long after a loss is asked about all the same`()
        try scenarios.`a run that is terminated after a loss leaves in doubt what may have been sent`()
        try scenarios.`a dead letter that a lost part may have tried again is in doubt when its run is terminated`()
        try scenarios.`a run that is terminated while a step that may be lost waits for its key leaves it in doubt`()
        try scenarios.`a run that is paused after a loss sends nothing without its approval and takes no key that is held`()
        try scenarios.`what may be lost is in doubt before a run is paused or goes on with another version`()
        try scenarios.`an undo that may be lost has begun before a run is paused or goes on with another version`()
        try scenarios.`a run is not reset before what may have been lost is in doubt`()
        try scenarios.`a run that is reset after a loss still knows of it`()
        try scenarios.`a second loss counts like the first one`()
    }

    private static func owner() throws {
        let scenarios = MachineOwnerScenarios()
        for code in MachineOwnerScenarios.needy {
            try scenarios.`a step that may wait for a person is not begun without an owner`(code)
        }
        try scenarios.`what nobody has to be asked about needs no owner`()
        try scenarios.`what runs beside a step without an owner comes to its end first`()
        try scenarios.`a step that has begun goes on without an owner`()
        try scenarios.`an approval that was asked for goes on without an owner`()
        try scenarios.`a step that is given up needs no owner`()
        try scenarios.`an intent says whether there is a probe`()
    }

    private static func cancellation() throws {
        let scenarios = MachineCancellationScenarios()
        for code in [Code.read("a"), .idempotent("a"), .atMostOnce("a"), .timer("a", .days(1)), .question("a"), .child("a")]
            as [Code]
        {
            try scenarios.`what was given up before the run came to rest leaves no trace`(code)
        }
        try scenarios.`a read ends at once, its body is told, and nothing is sent again`()
        try scenarios.`a read ends at once after a crash too`()
        for code in [Code.idempotent("a"), .idempotent("a", policy: StepPolicy(intent: .always)), .atMostOnce("a")] as [Code] {
            try scenarios.`a step that this process never sent is cancelled`(code)
        }
        try scenarios.`a step is cancelled when every attempt failed definitely`()
        try scenarios.`a dead letter that is given up is cancelled`()
        for code in [Code.idempotent("a", undo: .idempotent), .atMostOnce("a", undo: .idempotent)] as [Code] {
            try scenarios.`a step that was given up and happened is undone before its wait ends`(code)
        }
        for code in [Code.idempotent("a"), .atMostOnce("a")] as [Code] {
            try scenarios.`an irreversible step that was given up and happened stays`(code)
        }
        try scenarios.`an idempotent step that was given up gets the attempts that settle it`()
        try scenarios.`a definite failure that may pass does not clear up an attempt before it`()
        try scenarios.`a refusal for good clears up every attempt under the same key`()
        try scenarios.`a step that happened in a later attempt is undone, also after a crash`()
        try scenarios.`after a crash another build does not cancel what the one before may have sent`()
        try scenarios.`an at-most-once step in doubt that was given up waits for its settling`()
        try scenarios.`the probe of a step that was given up may find that it happened`()
        try scenarios.`an intent that became durable after the step was given up is never sent, nor doubted after a crash`()
        try scenarios.`timers, questions and signals end at once and are ended by an event`()
        try scenarios.`waits that are given up while their first event is on its way are ended by an event`()
        try scenarios.`a wait that ends and is given up in one batch is ended once`()
        try scenarios.`an approval ends at once and is ended by an event`()
        try scenarios.`an approval that is given up while its request is on its way is ended by an event`()
        for approve in [true, false] as [Bool] {
            try scenarios.`a decision in the batch that gives the step up releases nothing`(approve)
        }
        try scenarios.`a decision and then the end of the wait in one batch release nothing`()
        try scenarios.`an approval that expires in the batch that gives the step up is over`()
        try scenarios.`a consumed approval whose step was given up in the same batch is not used`()
    }

    private static func fork() throws {
        let scenarios = MachineForkScenarios()
        try scenarios.`a fork is told what its source was told, and does the rest under keys of its own`()
        try scenarios.`a fork undoes what it did itself, and nothing of what it has copied`()
        try scenarios.`timers, questions, approvals and children that were open begin anew in the fork`()
        try scenarios.`a child that had ended is copied, and the fork undoes nothing of it`()
        try scenarios.`what the fork sends counts from the fork, not from when its source asked for it`()
        try scenarios.`an undo that was under way belongs to the source, and the fork ends without it`()
        try scenarios.`a fork adopts what its source has done under a business key, and does not undo it`()
        try scenarios.`messages that nobody had taken are the fork's too`()
        try scenarios.`what was in doubt is asked for anew by the fork`()
        try scenarios.`a fork behind a reset adopts what the source would have adopted, and does not undo it`()
        try scenarios.`a run that is being reset, or has ended before, is not forked there`()
    }

    private static func note() throws {
        let scenarios = MachineNoteScenarios()
        try scenarios.`a status and labels are recorded, each once, before the code goes on`()
        try scenarios.`a status may read otherwise in another build`()
        try scenarios.`a status that was given up before the run came to rest leaves no trace`()
        try scenarios.`a status that was given up while it was on its way ends with its event`()
        try scenarios.`an update is received and answered, and the code goes on when both are durable`()
        try scenarios.`an update that came early is kept`()
        try scenarios.`a wait for an update that was given up ends at once`()
        try scenarios.`an update that comes while the run is terminated is rejected`()
        try scenarios.`an update that comes while the whole run is undone is rejected`()
        try scenarios.`updates that no code has taken are rejected in their order when the whole run begins to be undone`()
        try scenarios.`an update that no code has taken when the run ends at once is left to its end`()
        try scenarios
            .`a run that comes to a change for the first time follows it, and that is recorded before anything after it is sent`()
        try scenarios.`a run from before a change goes on as it began, at every place that asks`()
        try scenarios.`a run that waits where a change was made has passed it`()
        try scenarios.`a change that the code no longer asks for is passed over`()
        try scenarios.`a run that passes its deadline is cancelled, undoes what it did, and fails`()
        try scenarios.`a deadline that passed while nobody was there counts as soon as somebody is`()
        try scenarios.`a signal that was accepted before the deadline comes first`()
        try scenarios.`a run that has ended, or is being cancelled, has no deadline any more`()
        try scenarios.`a timer until a moment that has passed fires at once`()
    }

    private static func child() throws {
        let scenarios = MachineChildScenarios()
        try scenarios.`a child is made with the event that starts it, and its end answers the code`()
        try scenarios.`a child that fails throws its failure`()
        for kind in [EventKind.runCancelled, .runTerminated] as [EventKind] {
            try scenarios.`a child that somebody else ends is a failure with a code of its own`(kind)
        }
        try scenarios.`a child that is given up is told to end once, and its end is waited for`()
        for kind in [EventKind.runCompleted, .runFailed, .runTerminated] as [EventKind] {
            try scenarios.`a child that was given up and ends otherwise is cancelled to the code`(kind)
        }
        try scenarios.`a child that was given up and completed is undone before its wait ends`()
        try scenarios.`a child that completed in the batch that gives it up is not told to end`()
        for policy in [ChildPolicy.cancel, .abandon] as [ChildPolicy] {
            try scenarios.`a child that is given up before its start is never made`(policy)
        }
        for policy in [ChildPolicy.cancel, .abandon] as [ChildPolicy] {
            try scenarios.`a child that is given up while its start is on its way is told to end or left alone`(policy)
        }
        try scenarios.`an abandoned child goes on when it is given up, and the wait ends at once`()
        try scenarios.`an abandoned child that ends in the batch that gives it up is not called abandoned`()
        try scenarios.`an abandoned child that is waited for answers like any other`()
        try scenarios.`a detached child answers with its id and is never heard of again`()
        try scenarios.`a detached child that is given up while its start is on its way has started`()
        try scenarios.`a cancelled run cancels its children and closes after them`()
        try scenarios.`completed children are undone in one row with the steps`()
        try scenarios.`a run whose only open thing is the undo of a child parks when that is stuck`()
        try scenarios.`a terminated run terminates its children but the abandoned ones`()
        try scenarios.`children that were not started yet end with a terminated run`()
        try scenarios.`a child that has ended is taken in before its parent is terminated`()
        try scenarios.`an end that nobody waits for, or that another one tells, changes nothing`()
        try scenarios.`an end that cannot be read is a failure`()
        try scenarios.`a workflow that is not registered here keeps the run waiting for another build`()
        try scenarios.`what runs beside a workflow that is not registered here comes to its end first`()
        try scenarios.`a start that is recorded needs no registration`()
        try scenarios.`a recorded child that the code does not ask for is told`()
        try scenarios.`events of a child in an order that cannot be are told, not trapped on`()
        try scenarios.`the end of a run goes to its parent with the event that closes it`()
    }

    private static func person() throws {
        let scenarios = MachinePersonScenarios()
        try scenarios.`a person says that it happened, with its result`()
        try scenarios.`a person says that it did not happen, and it is sent again`()
        for kind in [ResolutionKind.didNotHappen, .abort] as [ResolutionKind] {
            try scenarios.`that it did not happen is not believed while the last attempt may still act`(kind)
        }
        try scenarios.`the last attempt of a plain step may act long after the crash that cut it off`()
        try scenarios.`the last attempt may act as long after a take-over that was given back at once`()
        try scenarios.`a person undoes what may have happened`()
        try scenarios.`a step that cannot be undone is not undone by a person either`()
        try scenarios.`an abort fails the run and undoes it, whatever its code makes of it`()
        try scenarios.`a person's retry sends an idempotent step in doubt again and opens its window anew`()
        try scenarios.`a retry inside of the window does not make it longer`()
        try scenarios.`an at-most-once step in doubt is not retried blindly`()
        try scenarios.`a result that is not the step's is refused`()
        try scenarios.`an action without a result is resolved without one`()
        for kind in [ResolutionKind.didNotHappen, .abort, .undo] as [ResolutionKind] {
            try scenarios.`a dead letter can be resolved in every way, at once`(kind)
        }
        try scenarios.`a person may answer while a probe is still asking, and the probe no longer counts`()
        try scenarios.`what a person asks of a step that does not wait for one is refused and recorded`()
        try scenarios.`a decision that cannot be read is refused`()
        for code in [Code.atMostOnce("a", approval: Program.approval), .idempotent("a", approval: Program.approval)] as [Code] {
            try scenarios.`an approved action is consumed in the commit of its intent`(code)
        }
        try scenarios.`later attempts use the approval again`()
        try scenarios.`a denied action throws`()
        try scenarios.`an approval that nobody decides on in time throws`()
        try scenarios.`a decision that was accepted in time beats the expiry, also when the engine was down at both`()
        try scenarios.`a late decision, one on another view and one by the starter are refused`()
        try scenarios.`a voided approval throws`()
        try scenarios.`an approval fits a call whose input was written by an older form of its type`()
        try scenarios.`a question takes the first valid answer`()
        try scenarios.`a question that nobody answers in time throws`()
        try scenarios.`signals wait in order until they are asked for`()
    }

    private static func reset() throws {
        let scenarios = MachineResetScenarios()
        try scenarios.`after a reset what had happened answers again, and nothing of it is sent twice`()
        try scenarios.`after a reset what is kept is done once more under a key of its own`()
        try scenarios.`before a reset what is to be undone is undone, the newest first, and done once more under a key of its own`()
        try scenarios.`a reset says of single steps what becomes of them`()
        try scenarios.`an adopted step is undone when the run fails later`()
        try scenarios.`what had happened with another input is done once more`()
        try scenarios.`a reset waits for what is under way, tells it to stop, and takes its outcome`()
        try scenarios.`undos that have begun without the code do not wait for steps of which it alone knows`()
        try scenarios.`what is in doubt is resolved before the run is reset`()
        try scenarios.`what was cut off by a crash is settled before the run is reset`()
        try scenarios.`timers, questions and approvals end, and begin anew where the code still waits for them`()
        try scenarios.`a timer that the point has seen begin keeps its time`()
        try scenarios.`an approval that was used does not return`()
        try scenarios.`a decision that comes while the run is reset is refused`()
        try scenarios.`signals since the point are delivered again, in their order`()
        try scenarios.`a cancellation since the point is forgotten`()
        try scenarios.`while a run is reset it takes messages, and refuses what would change where it stands`()
        try scenarios.`a child that was started since is told to end, and another one is made`()
        try scenarios.`a child that had completed answers again, and its undo is the run's`()
        try scenarios.`a child that was there at the point stays, and its end is not lost`()
        try scenarios.`a run is not reset to where something counts that has been undone since`()
        try scenarios.`a run is reset twice, and not to where the first one has passed over`()
        try scenarios.`a run that is being reset can be terminated`()
        try scenarios.`what cannot be undone is adopted, and so is what has a business key`()
    }

    private static func repeatedReset() throws {
        let scenarios = MachineRepeatedResetScenarios()
        try scenarios.`a reset that passes over another one makes a third child`()
        try scenarios.`what is done a third time after two resets to one point has a third key`()
        try scenarios.`what was done again and is adopted by another reset is undone under the key under which it was done`()
        try scenarios.`what an earlier reset has had answer again is undone where the code asked for it since`()
        try scenarios.`a step with a business key that had been intended by the point is adopted`()
        try scenarios.`a child that was there at the point is not undone by the reset, and once if the run fails later`()
        try scenarios.`a run is not reset to where a child was at work that has been undone since`()
        try scenarios.`what a person has undone and nobody has begun to undo is adopted`()
        try scenarios.`the business key of what is not undone after all is settled with the reset, or with the end of the run`()
        try scenarios.`a child whose undo had not begun is undone by the reset under its own key`()
        try scenarios.`while a run is reset nobody has it fail`()
        try scenarios.`a cancellation by the parent counts again after the reset, whenever it came`()
    }

    private static func run() throws {
        let scenarios = MachineRunScenarios()
        try scenarios.`a step of which a fact speaks is not planned in the same batch`()
        try scenarios.`nothing is started before what came about is durable`()
        try scenarios.`several facts of one step are taken one after the other`()
        try scenarios.`a run that ends with a value, an error or a cancellation closes as such`()
        try scenarios.`the final event comes with the last of what was given up, never before it`()
        try scenarios.`what comes in when the code is over is said to be undelivered`()
        try scenarios.`messages that can only be refused do not keep a run from closing`()
        try scenarios.`a run is parked only when nothing but a person can move it`()
        try scenarios.`a run that was blocked goes on with a build that fits`()
        try scenarios.`a process that goes on with a run says so with its first event, not when it only wakes up`()
        try scenarios.`a history that does not fit is told, whatever is wrong with it`()
        try scenarios.`events in an order that cannot be are told, not trapped on`()
        try scenarios.`a terminated run leaves every open step in doubt or cancelled, and runs no code`()
        try scenarios.`a run that is terminated while a probe runs keeps its doubt`()
        try scenarios.`a terminate waits for what came about before it`()
        try scenarios.`a terminated unwinding leaves its undo in doubt, and the step that waits for it as it is`()
        try scenarios.`an undo that has begun is in doubt when its run is terminated, whatever came of its attempts`()
        try scenarios.`a run that was watched says that it does no harm, which puts nothing in doubt`()
        try scenarios.`an approval that nobody waits for is cancelled when the run is terminated`()
    }

    private static func standstill() throws {
        let scenarios = MachineStandstillScenarios()
        try scenarios.`a plain step that a crash cut off leaves an intent before the run stands still`()
        try scenarios.`what may have been sent under another version is intended again before it is sent`()
        try scenarios.`a pause waits for what is under way, starts nothing more, and the run goes on where it was`()
        try scenarios.`a run that only waits is paused at once`()
        try scenarios.`what comes while the run is to stand still waits, and counts when it goes on`()
        try scenarios.`an intent that is durable is sent before the run stands still`()
        try scenarios.`what was given up is told to stop before the run stands still`()
        try scenarios.`a pause that is ended before it took effect is recorded and holds nothing up`()
        try scenarios.`a pause that follows one that was ended at once is the last word`()
        try scenarios.`a second pause, and the end of a pause that there is not, are refused`()
        try scenarios.`a run that is to stand still can be terminated`()
        try scenarios.`what a person says of a step counts while the run is to stand still`()
        try scenarios.`a crash while the run is to stand still leaves the pause to come`()
        try scenarios.`a run that is pinned to another version ends what is under way and stands down`()
        try scenarios.`an approval that is open stays so under another version`()
        for version in ["\"1\"", "\"a b\"", "2", nil] as [String?] {
            try scenarios.`a run cannot be pinned to the version it is on, nor to none`(version)
        }
    }

    private static func step() throws {
        let scenarios = MachineStepScenarios()
        try scenarios.`the next attempt knows of one before it, also when a take-over was given back in between`()
        for code in [Code.read("a"), .idempotent("a")] as [Code] { try scenarios.`a plain step is one call and one event`(code) }
        for code in [Code.idempotent("a", policy: StepPolicy(intent: .always)), .idempotent("a", key: "7"), .atMostOnce("a")]
            as [Code]
        { try scenarios.`a step that needs an intent is sent only when it is durable`(code) }
        for code in [Code.read("a"), .idempotent("a")] as [Code] {
            try scenarios.`a failed attempt is one event and the next one comes at the recorded time`(code)
        }
        try scenarios.`an at-most-once step is tried again only after a definite error, with an intent of its own`()
        for code in [Code.read("a"), .idempotent("a"), .atMostOnce("a")] as [Code] {
            try scenarios.`a definite error that cannot be retried is thrown at once`(code)
        }
        try scenarios.`in a read every error is definite`()
        for code in [Code.idempotent("a"), .atMostOnce("a")] as [Code] {
            try scenarios.`an error that is not definite and cannot be retried puts the step in doubt`(code)
        }
        try scenarios.`an at-most-once step without an answer is in doubt at once`()
        for code in [Code.read("a", policy: .retry(.never)), .idempotent("a", policy: .retry(.never))] as [Code] {
            try scenarios.`used-up attempts leave a dead letter that only a person moves`(code)
        }
        for code in [
            Code.read("a", policy: .retry(.never.thenThrow)), .idempotent("a", policy: .retry(.never.thenThrow)),
            .atMostOnce("a", policy: .retry(.never.thenThrow)),
        ] as [Code] { try scenarios.`used-up attempts are thrown where the policy says so and the last error is definite`(code) }
        for retry in [RetryPolicy.never, .never.thenThrow] as [RetryPolicy] {
            try scenarios.`used-up attempts whose last error is not definite are in doubt`(retry)
        }
        for retry in [RetryPolicy.limited(to: 2), .limited(to: 2).thenThrow] {
            try scenarios.`used-up attempts are in doubt if one of them did not say whether it did anything`(retry)
        }
        for code in [Code.idempotent("a"), .atMostOnce("a")] as [Code] {
            try scenarios.`a result that cannot be recorded is in doubt`(code)
        }
        try scenarios.`a read whose result cannot be recorded fails`()
        try scenarios.`attempts are counted across crashes, and one that a crash cut off does not count`()
        try scenarios.`a dead letter is one after a crash too`()
        try scenarios.`a read cut off by a crash runs again`()
        try scenarios.`a plain idempotent step cut off by a crash is sent again under the same key`()
        for code in [
            Code.idempotent("a", retention: .hours(1)),
            .idempotent("a", retention: .hours(1), policy: StepPolicy(intent: .always)),
        ] as [Code] { try scenarios.`after its window an idempotent step cut off by a crash is in doubt`(code) }
        try scenarios.`an idempotent step with an intent is sent again without another one`()
        try scenarios.`another build commits an intent before it sends an idempotent step again`()
        try scenarios.`a build that comes back knows that another one may have sent the step`()
        try scenarios.`the intent of another build does not move the window`()
        try scenarios.`definite errors move the window, others do not`()
        try scenarios.`after a crash the delay goes on from the recorded time`()
        try scenarios.`an at-most-once step cut off by a crash waits for a person`()
        try scenarios.`an at-most-once step cut off by a crash is probed where it can be`()
        try scenarios.`an intent whose time ran out before it could be used is written anew`()
        try scenarios.`an intent is not replaced without end where a commit takes longer than an attempt may`()
        try scenarios.`a step in flight at a hand-over leaves an intent`()
        try scenarios.`a later attempt in flight at a hand-over is not taken for one that never was`()
        try scenarios.`a probe that finds the effect settles the step`()
        try scenarios.`a probe that finds nothing is believed when the last attempt is over for certain`()
        try scenarios.`a probe that finds a part asks a person`()
        try scenarios.`a probe that does not know is asked again with growing delays, then a person is`()
        try scenarios.`how often a probe did not know is remembered, whoever asks next`()
        try scenarios.`when a probe finds that an error was definite after all, the policy goes on`()
        for retry in [RetryPolicy.default, .never.thenThrow] as [RetryPolicy] {
            try scenarios.`an error that cannot be retried is thrown when a probe finds that nothing happened`(retry)
        }
    }

    private static func succession() throws {
        let scenarios = MachineSuccessionScenarios()
        try scenarios.`a run that is continued closes with the event that names the next one, and undoes nothing`()
        try scenarios.`a run is continued whatever its code makes of the error`()
        try scenarios.`what nobody has taken goes to the next run in the order in which it came`()
        try scenarios.`what the run has under way is settled before it is continued`()
        try scenarios.`a run is continued after its children`()
        try scenarios.`a cancellation that comes before the run has closed wins`()
        try scenarios.`a cancellation that the last commit meets undoes what the run did`()
        try scenarios.`messages that the last commit meets go to the next run`()
        try scenarios.`what comes with the last commit goes to the next run with that commit`()
        try scenarios.`what has completed in scopes beside it stays when a run is continued`()
        try scenarios.`a run that is being cancelled is not continued`()
    }

    private static func transaction() throws {
        let scenarios = MachineTransactionScenarios()
        try scenarios.`a transaction that a crash cut off did not happen and is made again`()
        try scenarios.`every error of a transaction is definite`()
        try scenarios.`a transaction whose result cannot be recorded fails, and nothing of it stays`()
        try scenarios.`a transaction that is given up is cancelled unless it is under way`()
        try scenarios.`a transaction that the end of the run cuts off is cancelled`()
    }

    private static func undo() throws {
        let scenarios = MachineUndoScenarios()
        try scenarios.`a run that throws undoes its steps in the reverse order of their completion`()
        try scenarios.`a cancelled run undoes its steps, and the undo does not mind the cancellation`()
        try scenarios.`a scope is undone alone`()
        try scenarios.`a scope is undone whatever character a name in it begins with`()
        try scenarios.`an undo has a key of its own and gets what the step gave`()
        try scenarios.`an undo is tried without limit, and sent again after a crash`()
        try scenarios.`an undo that cannot go on parks the run, and older ones wait`()
        try scenarios.`an undo in doubt waits for its settling`()
        for kind in [ResolutionKind.happened, .didNotHappen, .abort] as [ResolutionKind] {
            try scenarios.`a person settles an undo in doubt`(kind)
        }
        try scenarios.`an undo whose error cannot be retried is a dead letter when it turns out that nothing happened`()
        try scenarios.`a person's retry reaches the undo of a step that is waiting for it`()
    }
}
